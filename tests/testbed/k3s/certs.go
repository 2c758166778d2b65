package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sort"
	"time"
)

const (
	day     = 24 * time.Hour
	renewIn = 90 * day
)

// authority is a certificate authority whose files lie at path.crt and path.key.
type authority struct {
	path string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// leaf says for whom a certificate is.
type leaf struct {
	name  string
	orgs  []string
	hosts []string
}

// openAuthority loads a CA or makes it at first start.
func openAuthority(path, name string) (*authority, error) {
	if cert, key, err := loadPair(path); err == nil {
		return &authority{path, cert, key}, nil
	}
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: fmt.Sprintf("%s@%d", name, time.Now().Unix())},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		NotAfter: time.Now().Add(3650 * day),
		IsCA:     true, BasicConstraintsValid: true,
	}
	cert, key, err := issue(path, template, nil)
	return &authority{path, cert, key}, err
}

// ensure keeps the certificate at path if it still says the same and is valid for long enough, else issues it anew.
func (a *authority) ensure(path string, want leaf) error {
	if cert, _, err := loadPair(path); err == nil && a.still(cert, want) {
		return nil
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: want.name, Organization: want.orgs},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		NotAfter:    time.Now().Add(365 * day),
	}
	for _, host := range want.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	_, _, err := issue(path, template, a)
	return err
}

func (a *authority) still(cert *x509.Certificate, want leaf) bool {
	has := append([]string{}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		has = append(has, ip.String())
	}
	return cert.CheckSignatureFrom(a.cert) == nil && cert.Subject.CommonName == want.name &&
		sameSet(cert.Subject.Organization, want.orgs) && sameSet(has, want.hosts) &&
		time.Until(cert.NotAfter) > renewIn
}

func sameSet(a, b []string) bool {
	a, b = append([]string{}, a...), append([]string{}, b...)
	sort.Strings(a)
	sort.Strings(b)
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func issue(path string, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber, template.NotBefore = serial, time.Now().Add(-time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := writeFile(path+".key", pemBlock("EC PRIVATE KEY", private), 0o600); err != nil {
		return nil, nil, err
	}
	if err := writeFile(path+".crt", pemBlock("CERTIFICATE", der), 0o644); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

func loadPair(path string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	public, err := readPem(path + ".crt")
	if err != nil {
		return nil, nil, err
	}
	private, err := readPem(path + ".key")
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(public)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(private)
	if err == nil && !key.PublicKey.Equal(cert.PublicKey) {
		err = fmt.Errorf("%s: key and certificate do not belong together", path)
	}
	return cert, key, err
}

// ensureServiceKey makes the key that signs service account tokens.
func ensureServiceKey(path string) error {
	if _, err := readPem(path); err == nil {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return writeFile(path, pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), 0o600)
}

func readPem(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM block", path)
	}
	return block.Bytes, nil
}

func pemBlock(kind string, data []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
}

// writeFile replaces a file atomically, and leaves it alone if it already holds just that.
func writeFile(path string, data []byte, mode os.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return os.Chmod(path, mode)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, data, mode); err != nil {
		return err
	}
	if err := os.Chmod(part, mode); err != nil {
		return err
	}
	return os.Rename(part, path)
}
