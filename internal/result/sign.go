package result

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Signature proves who made a report, and that nothing in it was changed since. It covers
// the report's JSON without the signature, as Go's encoding/json writes it, after a line that
// keeps it from being taken for a signature of anything else.
type Signature struct {
	Algorithm string `json:"algorithm"` // ed25519
	Key       string `json:"key"`       // KeyID of the public key
	Value     string `json:"value"`     // base64
}

const algorithm = "ed25519"

// KeyID names a public key: "sha256:" and the sum of its 32 bytes.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Sign puts a signature on the report, in the place of one that is there.
func (r *Report) Sign(key ed25519.PrivateKey) error {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return errors.New("the key is no Ed25519 key")
	}
	text, err := r.signed()
	if err != nil {
		return err
	}
	r.Signature = &Signature{Algorithm: algorithm, Key: KeyID(public), Value: base64.StdEncoding.EncodeToString(ed25519.Sign(key, text))}
	return nil
}

// signed is the text that the signature covers.
func (r *Report) signed() ([]byte, error) {
	bare := *r
	bare.Signature = nil
	data, err := json.Marshal(bare)
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	return append([]byte(Schema+" signed report\n"), data...), nil
}

// The ways in which a report is not proven.
var (
	ErrUnsigned   = errors.New("the report is not signed")
	ErrUnknownKey = errors.New("the report was signed with another key")
	ErrAltered    = errors.New("the report was changed after it was signed")
)

// Verify reads a report and proves its signature by one of the keys. What the schema does not
// know counts as a change: nobody signed it.
func Verify(data []byte, keys ...ed25519.PublicKey) (Report, error) {
	var r Report
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("read the report: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Report{}, errors.New("read the report: something follows it")
	}
	if r.Signature == nil {
		return r, ErrUnsigned
	}
	for _, key := range keys {
		if r.Signature.Key != KeyID(key) {
			continue
		}
		value, err := base64.StdEncoding.DecodeString(r.Signature.Value)
		if err != nil || r.Signature.Algorithm != algorithm {
			return r, ErrAltered
		}
		text, err := r.signed()
		if err != nil {
			return r, err
		}
		if !ed25519.Verify(key, text, value) {
			return r, ErrAltered
		}
		return r, nil
	}
	return r, ErrUnknownKey
}
