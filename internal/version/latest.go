package version

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"labctl.dev/labctl/internal/fault"
)

const (
	modulePath   = "labctl.dev/labctl"
	defaultProxy = "https://proxy.golang.org" // what "go help environment" documents for GOPROXY
	answerTime   = 5 * time.Second
	maxAnswer    = 64 << 10 // a proxy's answer is a hundred bytes

	// Install is the command that gets the latest version.
	Install = "go install " + modulePath + "/cmd/labctl@latest"
)

// What Latest.Update says.
const (
	UpdateAvailable = "available"
	UpdateNone      = "none"
	UpdateUnknown   = "unknown" // this build has no version to compare
)

// Latest is the newest version that was published.
type Latest struct {
	Version string `json:"version"`
	Date    string `json:"date,omitempty"` // RFC 3339, UTC
	Update  string `json:"update"`         // available, none or unknown
	Install string `json:"install,omitempty"`
}

// Lookup asks the Go module proxy for the latest version. It reads the go command's
// environment variables, so that nothing is asked that go itself would not ask.
type Lookup struct {
	Env    func(name string) string
	Client *http.Client
}

// Latest compares the latest version with this build's. It fails with a fault of kind
// Environment.
func (l Lookup) Latest(ctx context.Context, current Info) (Latest, error) {
	proxy, err := l.proxy()
	if err != nil {
		return Latest{}, err
	}
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	latest, err := l.ask(asking, proxy)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return Latest{}, context.Cause(ctx)
	case asking.Err() != nil:
		return Latest{}, fault.Environmentf("ask %s for the latest version: no answer in %v", proxy.Redacted(), answerTime).
			WithRemedy("see that this machine reaches it, or set GOPROXY to a proxy that it reaches")
	default:
		return Latest{}, fault.Environmentf("ask %s for the latest version: %w", proxy.Redacted(), err).
			WithRemedy("see that this machine reaches it, or set GOPROXY to a proxy that it reaches")
	}
	switch {
	case !semver.IsValid(current.Version):
		latest.Update = UpdateUnknown
	case semver.Compare(latest.Version, current.Version) > 0:
		latest.Update = UpdateAvailable
	default:
		latest.Update = UpdateNone
		return latest, nil
	}
	latest.Install = Install
	return latest, nil
}

// proxy is the first one of GOPROXY, unless GOPROXY or GONOPROXY keep labctl from it.
func (l Lookup) proxy() (*url.URL, error) {
	private := l.Env("GONOPROXY")
	if private == "" {
		private = l.Env("GOPRIVATE")
	}
	if module.MatchPrefixPatterns(private, modulePath) {
		return nil, fault.Environmentf("GONOPROXY or GOPRIVATE says that no module proxy is asked for %s", modulePath).
			WithRemedy("take it out of them, or run: go list -m %s@latest", modulePath)
	}
	all := l.Env("GOPROXY")
	if all == "" {
		all = defaultProxy
	}
	for entry := range strings.FieldsFuncSeq(all, func(r rune) bool { return r == ',' || r == '|' }) {
		if entry = strings.TrimSpace(entry); entry == "off" {
			break // the go command asks nobody after it
		}
		u, err := url.Parse(entry)
		if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
			return u, nil
		}
	}
	return nil, fault.Environmentf("GOPROXY names no module proxy that can be asked for the latest version").
		WithRemedy("name one, as in: GOPROXY=%s labctl version --check", defaultProxy)
}

func (l Lookup) ask(ctx context.Context, proxy *url.URL) (Latest, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, proxy.JoinPath(modulePath, "@latest").String(), nil)
	if err != nil {
		return Latest{}, err
	}
	resp, err := l.Client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the address is named already, without a password
		}
		return Latest{}, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return Latest{}, fmt.Errorf("it knows no version of %s", modulePath)
	default:
		return Latest{}, fmt.Errorf("HTTP %s", resp.Status)
	}
	var answer struct {
		Version string
		Time    time.Time
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Latest{}, err
	}
	if err := json.Unmarshal(body, &answer); err != nil || !semver.IsValid(answer.Version) {
		return Latest{}, errors.New("its answer names no version")
	}
	latest := Latest{Version: answer.Version}
	if !answer.Time.IsZero() {
		latest.Date = answer.Time.UTC().Format(time.RFC3339)
	}
	return latest, nil
}
