package result

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func pair(t *testing.T) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

func TestSignatures(t *testing.T) {
	public, private := pair(t)
	other, _ := pair(t)
	r := report(Graded, Check{ID: "a", Status: Passed, Points: 70, MaxPoints: 70, Seconds: 1.5}, Check{ID: "b", Status: Failed, MaxPoints: 30})
	r.Student, r.Started = "anna <&> \u202e", time.Now().UTC()
	if err := r.Sign(private); err != nil {
		t.Fatal(err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	unsigned := r
	unsigned.Signature = nil
	bare, err := json.Marshal(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(old, with string) []byte {
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("no %q in %s", old, data)
		}
		return bytes.Replace(data, []byte(old), []byte(with), 1)
	}
	tests := map[string]struct {
		data []byte
		keys []ed25519.PublicKey
		want error
	}{
		"as it was signed":      {data, []ed25519.PublicKey{other, public}, nil},
		"written in other ways": {bytes.ReplaceAll(data, []byte("\n"), []byte("\n\t")), []ed25519.PublicKey{public}, nil},
		"another score":         {replaced(`"score": 70`, `"score": 100`), []ed25519.PublicKey{public}, ErrAltered},
		"another student":       {replaced("anna", "bert"), []ed25519.PublicKey{public}, ErrAltered},
		"another verdict":       {replaced(`"failed"`, `"passed"`), []ed25519.PublicKey{public}, ErrAltered},
		"another algorithm":     {replaced(`"ed25519"`, `"none"`), []ed25519.PublicKey{public}, ErrAltered},
		"another signature":     {replaced(`"value": "`, `"value": "AAAA`), []ed25519.PublicKey{public}, ErrAltered},
		"no signature":          {bare, []ed25519.PublicKey{public}, ErrUnsigned},
		"another key":           {data, []ed25519.PublicKey{other}, ErrUnknownKey},
		"no key":                {data, nil, ErrUnknownKey},
	}
	for name, tt := range tests {
		if _, err := Verify(tt.data, tt.keys...); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for name, data := range map[string][]byte{
		"a field more": replaced(`"schema"`, `"bonus": 5, "schema"`), "something after it": append(bytes.Clone(data), "{}"...), "no JSON": []byte("100/100"),
	} {
		if _, err := Verify(data, public); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}
