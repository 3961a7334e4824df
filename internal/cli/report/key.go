package report

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/ui"
)

const (
	privateType = "PRIVATE KEY" // PKCS #8, as openssl genpkey -algorithm ed25519 writes it
	publicType  = "PUBLIC KEY"  // PKIX

	// maxKeySize bounds what is read of a key's file, which takes about 120 bytes.
	maxKeySize = 64 << 10
)

type keyOptions struct {
	streams ui.Streams
	file    string
}

func newKeyCmd(streams ui.Streams, run func(context.Context, *keyOptions) error) *cobra.Command {
	opts := &keyOptions{streams: streams}
	if run == nil {
		run = runKey
	}
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make a key to sign reports with",
		Long: `Key makes a pair of Ed25519 keys. FILE is the private one: whoever has it can sign.
FILE.pub is the public one: give it to those who are to verify.`,
		Example: `  labctl report key course.key
  labctl grade anna.zip --lab clusterip --json anna.json --sign course.key`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.file = args[0]
			return run(cmd.Context(), opts)
		},
	}
}

func runKey(_ context.Context, opts *keyOptions) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode the private key: %w", err)
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("encode the public key: %w", err)
	}
	if err := create(opts.file, privateType, secret, 0o600); err != nil {
		return err
	}
	if err := create(opts.file+".pub", publicType, open, 0o644); err != nil {
		return errors.Join(err, os.Remove(opts.file)) // half a pair is of no use
	}
	fmt.Fprintf(opts.streams.Out, "%s\tprivate: keep it\n%s.pub\tpublic: give it away\nkey\t%s\n", opts.file, opts.file, result.KeyID(public))
	return nil
}

// create writes a new file. One that is there may be the only copy of a key.
func create(name, kind string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fault.Inputf("%s exists", name).WithRemedy("name another file: labctl report key FILE")
	}
	if err != nil {
		return fault.Inputf("write the key: %w", err)
	}
	return errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: data}), f.Close())
}

// ReadPrivateKey reads the file of a private key.
func ReadPrivateKey(name string) (ed25519.PrivateKey, error) {
	block, err := readKey(name)
	if err != nil {
		return nil, err
	}
	if block.Type == publicType {
		return nil, fault.Inputf("%s is a public key, and only verifies; sign with the private one", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if private, ok := key.(ed25519.PrivateKey); err == nil && ok {
		return private, nil
	}
	return nil, fault.Inputf("%s is no private Ed25519 key", name).WithRemedy("labctl report key FILE")
}

// readPublicKey reads the file of a public key.
func readPublicKey(name string) (ed25519.PublicKey, error) {
	block, err := readKey(name)
	if err != nil {
		return nil, err
	}
	if block.Type == privateType {
		return nil, fault.Inputf("%s is a private key; verify with the public one, %s.pub, and keep this one to yourself", name, name)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if public, ok := key.(ed25519.PublicKey); err == nil && ok {
		return public, nil
	}
	return nil, fault.Inputf("%s is no public Ed25519 key", name)
}

func readKey(name string) (*pem.Block, error) {
	data, err := read(name, maxKeySize)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fault.Inputf("%s is no key: it has no -----BEGIN line", name).WithRemedy("labctl report key FILE")
	}
	return block, nil
}
