/* What the tap's programs share: keys, values and events. The layouts are read by installer/adapters/bpf/child/drain.py. */
#ifndef BEEYARD_TAP_H
#define BEEYARD_TAP_H
#include <uapi/linux/bpf.h>

#define TAP_EGRESS 1
#define TAP_INGRESS 2
#define TAP_IPV4 4
#define TAP_IPV6 6
#define TAP_TCP 6
#define TAP_UDP 17
#define TAP_ICMP 1
#define TAP_ICMP6 58

/* IPv4 addresses are mapped: ::ffff:a.b.c.d. Ports are those of the host; of ICMP they are type and code. 40 bytes. */
struct tap_tuple {
	u8 source[16];
	u8 destination[16];
	u16 source_port;
	u16 destination_port;
	u8 protocol;
	u8 family;
	u8 direction;
	u8 pad;
};

/* Counters of the kernel side: indexes of tap_counters. */
enum {
	TAP_CREATED,	/* flows that were put into the table */
	TAP_SHED,	/* packets of new flows that came too fast */
	TAP_EVENTS_LOST,	/* events for which the ring had no room */
	TAP_UNREAD,	/* packets whose headers could not be read */
	TAP_COUNTERS,
};

BPF_PERCPU_ARRAY(tap_counters, u64, TAP_COUNTERS);

static __always_inline void tap_count(u32 which)
{
	u64 *counter = tap_counters.lookup(&which);

	if (counter)
		(*counter)++;
}

static __always_inline void tap_map_ipv4(u8 *address, u32 ipv4)
{
	u32 *words = (u32 *)address;

	words[0] = 0;
	words[1] = 0;
	words[2] = __builtin_bswap32(0xffff);
	words[3] = ipv4;
}

/* Reads a field of a structure of the kernel at an offset that BTF told. */
#define tap_field(type, base, offset) ({ \
	type tap_value = 0; \
	bpf_probe_read_kernel(&tap_value, sizeof(tap_value), (void *)((u64)(base) + (offset))); \
	tap_value; })

static __always_inline u32 tap_namespace_of_net(u64 net)
{
	return net ? tap_field(u32, net, OFF_NET_INUM) : 0;
}

static __always_inline u32 tap_namespace_of_sock(u64 sock)
{
	return sock ? tap_namespace_of_net(tap_field(u64, sock, OFF_SOCK_NET)) : 0;
}

#if defined(TAP_WITH_TCP) || defined(TAP_WITH_DNS)
BPF_RINGBUF_OUTPUT(tap_events, TAP_RING_PAGES);
#endif
#define TAP_EVENT_TCP 1
#define TAP_EVENT_DNS 2
#endif
