package report

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
	"labctl.dev/labctl/internal/ui"
)

const (
	// maxReportSize bounds what is read of a report; one takes some 20 KB.
	maxReportSize = 8 << 20
	// maxShown bounds, in runes, what is shown of one of its fields.
	maxShown = 100
)

type verifyOptions struct {
	streams    ui.Streams
	reports    []string
	keys       []string
	student    string
	submission string
}

func newVerifyCmd(streams ui.Streams, run func(context.Context, *verifyOptions) error) *cobra.Command {
	opts := &verifyOptions{streams: streams}
	if run == nil {
		run = runVerify
	}
	cmd := &cobra.Command{
		Use:   "verify REPORT… --key FILE",
		Short: "Prove that reports were signed with a key and not changed",
		Long: `Verify proves each report's signature. A report is also only as good as what it is about:
--student and --submission say whose it must be, and of which work.

Exit codes: 0 all are proven, 1 some are not, 2 a file cannot be read.`,
		Example: `  labctl report verify anna.json --key course.key.pub
  labctl report verify anna.json --key course.key.pub --student anna --submission anna.zip`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.reports = args
			return run(cmd.Context(), opts)
		},
	}
	cmd.Flags().StringSliceVar(&opts.keys, "key", nil, "public keys, one of which must have signed")
	cmd.Flags().StringVar(&opts.student, "student", "", "whose report it must be")
	cmd.Flags().StringVar(&opts.submission, "submission", "", "the folder or archive that must have been graded")
	return cmd
}

func runVerify(_ context.Context, opts *verifyOptions) error {
	if len(opts.keys) == 0 {
		return fault.Inputf("which key? --key is missing").WithRemedy("labctl report verify %s --key FILE.pub", opts.reports[0])
	}
	var keys []ed25519.PublicKey
	for _, name := range opts.keys {
		key, err := readPublicKey(name)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	digest := ""
	if opts.submission != "" {
		var err error
		if digest, err = submission.Digest(opts.submission); err != nil {
			return err
		}
	}
	proven := true
	for _, name := range opts.reports {
		data, err := read(name, maxReportSize)
		if err != nil {
			return err
		}
		r, err := result.Verify(data, keys...)
		if err == nil {
			err = opts.about(r, digest)
		}
		if err != nil {
			proven = false
			fmt.Fprintf(opts.streams.Out, "not proven\t%s\t%v\n", name, err)
			continue
		}
		fmt.Fprintf(opts.streams.Out, "proven\t%s\t%s\t%s %s\t%s %g/%g\t%s\n", name, ui.Clean(r.Student, maxShown), ui.Clean(r.Lab.ID, maxShown), ui.Clean(r.Lab.Version, maxShown),
			ui.Clean(string(r.Status), maxShown), r.Score, r.MaxScore, ui.Clean(r.Submission, maxShown))
	}
	if !proven {
		return &ui.ExitError{Code: 1}
	}
	return nil
}

// about tells why a report that is proven is not the one that is asked for.
func (o *verifyOptions) about(r result.Report, digest string) error {
	switch {
	case o.student != "" && r.Student != o.student:
		return fmt.Errorf("it is the report of %q", r.Student)
	case digest != "" && r.Submission != digest:
		return errors.New("it is the report of another submission than " + o.submission)
	}
	return nil
}

// read reads a file that a user names, up to a size in bytes.
func read(name string, most int64) ([]byte, error) {
	data, err := home.Read(name, most)
	if err != nil {
		return nil, fault.Inputf("read a file: %w", err)
	}
	return data, nil
}
