package version

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/fault"
)

// proxied is a proxy that gives the answer, and the environment that names it.
func proxied(t *testing.T, status int, answer string) Lookup {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mods/labctl.dev/labctl/@latest" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return Lookup{Env: env("GOPROXY", "file:///mods|"+server.URL+"/mods,direct"), Client: server.Client()}
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLatestCompares(t *testing.T) {
	for current, want := range map[string]string{
		"v1.1.9":                               UpdateAvailable,
		"v1.2.0-rc.1":                          UpdateAvailable,
		"v0.0.0-20261125194601-d996659cfd48":   UpdateAvailable,
		"v1.1.0+dirty":                         UpdateAvailable,
		"v1.2.0":                               UpdateNone,
		"v1.2.0+dirty":                         UpdateNone,
		"v1.2.1-0.20261125194601-d996659cfd48": UpdateNone,
		"v1.10.0":                              UpdateNone,
		"(devel)":                              UpdateUnknown,
		"unknown":                              UpdateUnknown,
	} {
		got, err := proxied(t, 200, `{"Version":"v1.2.0","Time":"2026-11-02T10:00:00+01:00"}`).Latest(t.Context(), Info{Version: current})
		if err != nil || got.Version != "v1.2.0" || got.Date != "2026-11-02T09:00:00Z" || got.Update != want {
			t.Errorf("%s: %+v, %v; want %s", current, got, err, want)
		}
		if (got.Install == "") != (want == UpdateNone) {
			t.Errorf("%s: install %q", current, got.Install)
		}
	}
}

func TestLatestFails(t *testing.T) {
	for says, l := range map[string]Lookup{
		"it knows no version of labctl.dev/labctl": proxied(t, 404, "not found"),
		"HTTP 503":                    proxied(t, 503, ""),
		"its answer names no version": proxied(t, 200, `{"Version":"\u001b[31m"}`),
		"GOPROXY names no":            {Env: env("GOPROXY", "off")},
		"that can be asked":           {Env: env("GOPROXY", "direct")},
		"names no module proxy":       {Env: env("GOPROXY", "off,https://127.0.0.1:1")},
		"GONOPROXY or GOPRIVATE":      {Env: env("GOPRIVATE", "example.com,labctl.dev/*")},
		"ask https://user:xxxxx@127.0.0.1:1 for the latest version: dial tcp": {
			Env: env("GOPROXY", "https://user:secret@127.0.0.1:1"), Client: http.DefaultClient,
		},
	} {
		_, err := l.Latest(t.Context(), Info{Version: "v1.0.0"})
		if err == nil || !strings.Contains(err.Error(), says) || fault.KindOf(err) != fault.Environment || fault.RemedyOf(err) == "" {
			t.Errorf("%s: %v, remedy %q", says, err, fault.RemedyOf(err))
		}
		if err != nil && strings.Contains(err.Error()+fault.RemedyOf(err), "secret") {
			t.Errorf("the password is in %v", err)
		}
	}
}

// GONOPROXY goes before GOPRIVATE, as for the go command.
func TestLatestAsksWhereGonoproxyAllows(t *testing.T) {
	l := proxied(t, 200, `{"Version":"v1.0.0"}`)
	proxy := l.Env("GOPROXY")
	l.Env = env("GOPROXY", proxy, "GOPRIVATE", "labctl.dev", "GONOPROXY", "none")
	if got, err := l.Latest(t.Context(), Info{Version: "v1.0.0"}); err != nil || got.Update != UpdateNone {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDefaultProxy(t *testing.T) {
	if u, err := (Lookup{Env: env()}).proxy(); err != nil || u.String() != defaultProxy {
		t.Errorf("%v, %v", u, err)
	}
}

func TestLatestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := proxied(t, 200, "").Latest(ctx, Info{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
