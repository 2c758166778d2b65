package main

import (
	"encoding/binary"
	"net"
	"strings"
)

const (
	typeA    = 1
	typeSOA  = 6
	classIN  = 1
	nxdomain = 3
	notImpl  = 4
	ttl      = 5
)

// respond answers one DNS message; nil means that it is not worth an answer.
func respond(query []byte, names *zone) []byte {
	if len(query) < 12 || query[2]&0x80 != 0 || binary.BigEndian.Uint16(query[4:]) != 1 {
		return nil
	}
	name, end, ok := readName(query, 12)
	if !ok || end+4 > len(query) {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[end:])
	question := query[12 : end+4]
	if query[2]&0x78 != 0 {
		return message(query, question, notImpl, nil, nil)
	}
	addresses, exists := names.lookup(strings.ToLower(name))
	if !exists {
		return message(query, question, nxdomain, nil, names.authority())
	}
	records := []byte{}
	if kind == typeA {
		for _, address := range addresses {
			records = append(records, record(typeA, address.To4())...)
		}
	}
	if len(records) == 0 {
		return message(query, question, 0, nil, names.authority())
	}
	return message(query, question, 0, records, nil)
}

func message(query, question []byte, code byte, records, authority []byte) []byte {
	answer := append([]byte{}, query[:2]...)
	answer = append(answer, 0x84|query[2]&0x01, 0x80|code)
	answer = binary.BigEndian.AppendUint16(answer, 1)
	answer = binary.BigEndian.AppendUint16(answer, uint16(len(records)/16))
	count := uint16(0)
	if len(authority) > 0 {
		count = 1
	}
	answer = binary.BigEndian.AppendUint16(answer, count)
	answer = binary.BigEndian.AppendUint16(answer, 0)
	return append(append(append(answer, question...), records...), authority...)
}

// record holds an address of the name in question: 16 bytes each.
func record(kind uint16, data net.IP) []byte {
	result := []byte{0xc0, 12}
	result = binary.BigEndian.AppendUint16(result, kind)
	result = binary.BigEndian.AppendUint16(result, classIN)
	result = binary.BigEndian.AppendUint32(result, ttl)
	result = binary.BigEndian.AppendUint16(result, uint16(len(data)))
	return append(result, data...)
}

// authority is the SOA record that lets resolvers remember that a name is not there.
func (z *zone) authority() []byte {
	owner := writeName(z.domain)
	data := append(writeName("ns.dns."+z.domain), writeName("hostmaster."+z.domain)...)
	for _, number := range []uint32{1, 7200, 1800, 86400, ttl} {
		data = binary.BigEndian.AppendUint32(data, number)
	}
	result := binary.BigEndian.AppendUint16(owner, typeSOA)
	result = binary.BigEndian.AppendUint16(result, classIN)
	result = binary.BigEndian.AppendUint32(result, ttl)
	result = binary.BigEndian.AppendUint16(result, uint16(len(data)))
	return append(result, data...)
}

func writeName(name string) []byte {
	result := []byte{}
	for _, label := range strings.Split(name, ".") {
		result = append(append(result, byte(len(label))), label...)
	}
	return append(result, 0)
}

func readName(query []byte, at int) (string, int, bool) {
	labels := []string{}
	for at < len(query) {
		size := int(query[at])
		at++
		if size == 0 {
			return strings.Join(labels, "."), at, true
		}
		if size > 63 || at+size > len(query) {
			return "", at, false
		}
		labels = append(labels, string(query[at:at+size]))
		at += size
	}
	return "", at, false
}
