package foreign

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// Unlock is what opens an encrypted container: a key that was agreed on, a password, or neither. It prints
// as redacted.
type Unlock struct {
	// A function, since fmt prints the fields of a struct that has an Unlock in a field of its own without
	// asking Format.
	with func() (key, password []byte)
}

// WithKey opens with a key of 128, 192 or 256 bits.
func WithKey(key []byte) Unlock { return Unlock{func() (k, p []byte) { return key, nil }} }

// WithPassword opens with a password.
func WithPassword(password []byte) Unlock {
	return Unlock{func() (k, p []byte) { return nil, password }}
}

// Format keeps every verb of fmt from showing it.
func (Unlock) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

const redacted = "[redacted]"

// The algorithms of RFC 6030 §6 that are known, by the end of their URIs.
var (
	ciphers = map[string]int{"aes128-cbc": 16, "aes192-cbc": 24, "aes256-cbc": 32}
	macs    = map[string]func() hash.Hash{
		"hmac-sha1": sha1.New, "hmac-sha224": sha256.New224, "hmac-sha256": sha256.New,
		"hmac-sha384": sha512.New384, "hmac-sha512": sha512.New,
	}
	// Those of PBKDF2's PRF; none named is the one of PKCS #5.
	functions = map[string]func() hash.Hash{
		"": sha1.New, "hmac-sha1": sha1.New, "hmac-sha256": sha256.New, "hmac-sha512": sha512.New,
		"id-hmacwithsha1": sha1.New, "id-hmacwithsha256": sha256.New, "id-hmacwithsha512": sha512.New,
	}
)

// iterationsMax keeps a container from having us derive a key for hours.
const iterationsMax = 10_000_000

type method struct {
	Algorithm string `xml:"Algorithm,attr"`
}

// name is the algorithm without what all URIs begin with.
func (m method) name() string {
	uri := strings.TrimSpace(m.Algorithm)
	return strings.ToLower(uri[strings.LastIndexAny(uri, "#/")+1:])
}

// encryptedValue is an EncryptedData of XML Encryption.
type encryptedValue struct {
	Method method `xml:"EncryptionMethod"`
	Cipher string `xml:"CipherData>CipherValue"`
}

// opener opens the values of one container.
type opener struct {
	password []byte
	key      []byte // for the values; nil: not known
	why      error  // why it isn't
	hash     func() hash.Hash
	macKey   []byte
}

// Format keeps every verb of fmt from showing it.
func (opener) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

func newOpener(u Unlock) *opener {
	if u.with == nil {
		return &opener{why: errors.New("it is encrypted: --key-file or --password-file opens it")}
	}
	o := new(opener)
	o.key, o.password = u.with()
	if o.key == nil {
		o.why = errors.New("it is encrypted with a key, not with a password: --key-file opens it")
	}
	return o
}

// readKey reads the element EncryptionKey: the name of a key, or how one is made of a password (§6.2).
func (o *opener) readKey(d *xml.Decoder, at *xml.StartElement) error {
	var e struct {
		Derivation *struct {
			method
			Params struct {
				Salt       string `xml:"Salt>Specified"`
				Iterations int    `xml:"IterationCount"`
				Length     int    `xml:"KeyLength"`
				PRF        method `xml:"PRF"`
			} `xml:"PBKDF2-params"`
		} `xml:"DerivedKey>KeyDerivationMethod"`
		Certificate *struct{} `xml:"X509Data"`
	}
	if err := d.DecodeElement(&e, at); err != nil {
		return badXML(d)
	}
	switch {
	case e.Certificate != nil:
		o.key, o.why = nil, errors.New("it is encrypted for a certificate, which is not supported")
		return nil
	case e.Derivation == nil:
		return nil
	case o.password == nil:
		o.key, o.why = nil, errors.New("it is encrypted with a password: --password-file opens it")
		return nil
	}
	p := e.Derivation.Params
	salt, err := base64Text(p.Salt)
	prf, known := functions[p.PRF.name()]
	if p.Length == 0 {
		p.Length = 16
	}
	if e.Derivation.name() != "pbkdf2" || !known || err != nil || p.Iterations < 1 || p.Iterations > iterationsMax ||
		p.Length != 16 && p.Length != 24 && p.Length != 32 {
		return errors.New("how the key is made of the password is not supported")
	}
	o.key, err = pbkdf2.Key(prf, string(o.password), salt, p.Iterations, p.Length)
	return err
}

// readMAC reads the element MACMethod (§6.1.1).
func (o *opener) readMAC(d *xml.Decoder, at *xml.StartElement) error {
	var e struct {
		method
		Key *encryptedValue `xml:"MACKey"`
	}
	if err := d.DecodeElement(&e, at); err != nil {
		return badXML(d)
	}
	var known bool
	if o.hash, known = macs[e.name()]; !known {
		return errors.New("the algorithm of its MACs is not supported")
	}
	if o.key == nil {
		return nil // each value says why
	}
	if e.Key == nil {
		o.macKey = o.key
		return nil
	}
	var err error
	if o.macKey, err = o.decrypt(e.Key); err != nil {
		return fmt.Errorf("key of the MACs: %w", err)
	}
	return nil
}

// value returns a value in the clear. A secret stands there in base64, a number as it is. What is encrypted
// is first compared with its MAC: without one, nobody can tell whether the key is the right one.
func (o *opener) value(v *pskcValue, secret bool) ([]byte, error) {
	switch {
	case v.Plain != nil && secret:
		return base64Text(*v.Plain)
	case v.Plain != nil:
		return []byte(*v.Plain), nil
	case v.Encrypted == nil:
		return nil, errors.New("it has no value")
	case o.key == nil:
		return nil, o.why
	case o.hash == nil || strings.TrimSpace(v.MAC) == "":
		return nil, errors.New("it is encrypted without a MAC: whether it is right can't be told")
	}
	want, err := base64Text(v.MAC)
	if err != nil {
		return nil, fmt.Errorf("MAC: %w", err)
	}
	data, err := base64Text(v.Encrypted.Cipher)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(o.hash, o.macKey)
	mac.Write(data)
	if !hmac.Equal(mac.Sum(nil), want) {
		return nil, errors.New("its MAC is wrong: another key or password, or it was altered")
	}
	return o.decrypt(v.Encrypted)
}

// decrypt opens AES in CBC mode: the initial vector, then the blocks, filled up as XML Encryption does
// (§5.2: the last byte says how many).
func (o *opener) decrypt(v *encryptedValue) ([]byte, error) {
	size, known := ciphers[v.Method.name()]
	if !known {
		return nil, errors.New("the algorithm of its encryption is not supported")
	}
	data, err := base64Text(v.Cipher)
	if err != nil {
		return nil, err
	}
	if size != len(o.key) {
		return nil, fmt.Errorf("it is encrypted with a key of %d bits, not of %d", size*8, len(o.key)*8)
	}
	if len(data) < 2*aes.BlockSize || len(data)%aes.BlockSize != 0 {
		return nil, errors.New("what is encrypted is cut off")
	}
	block, err := aes.NewCipher(o.key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(data)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, data[:aes.BlockSize]).CryptBlocks(plain, data[aes.BlockSize:])
	fill := int(plain[len(plain)-1])
	if fill < 1 || fill > aes.BlockSize {
		return nil, errors.New("another key or password opens it")
	}
	return plain[:len(plain)-fill], nil
}
