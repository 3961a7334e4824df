package version

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"labctl.dev/labctl/internal/ui"
	"labctl.dev/labctl/internal/version"
)

// options are those of a labctl whose proxy counts what it is asked.
func options(t *testing.T, out *bytes.Buffer, asked *int) *Options {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*asked++
		_, _ = w.Write([]byte(`{"Version":"v9.0.0"}`))
	}))
	t.Cleanup(server.Close)
	return &Options{
		Streams: ui.Streams{Out: out},
		Lookup: version.Lookup{Client: server.Client(), Env: func(name string) string {
			return map[string]string{"GOPROXY": server.URL}[name]
		}},
	}
}

func TestRunAsksOnlyWithCheck(t *testing.T) {
	var out bytes.Buffer
	asked := 0
	opts := options(t, &out, &asked)
	if err := Run(t.Context(), opts); err != nil || asked != 0 || strings.Contains(out.String(), "latest") {
		t.Errorf("%v, asked %d times: %s", err, asked, &out)
	}
	opts.Check = true
	if err := Run(t.Context(), opts); err != nil || asked != 1 || !strings.Contains(out.String(), "latest v9.0.0") {
		t.Errorf("%v, asked %d times: %s", err, asked, &out)
	}
}

func TestRunCheckJSON(t *testing.T) {
	var out bytes.Buffer
	asked := 0
	opts := options(t, &out, &asked)
	opts.Check, opts.JSON = true, true
	if err := Run(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Version string
		Latest  version.Latest
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Version == "" || got.Latest.Version != "v9.0.0" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWriteSaysWhatToDo(t *testing.T) {
	for update, want := range map[string]string{
		version.UpdateAvailable: "latest v2.0.0 is newer\nNext: go install labctl.dev/labctl/cmd/labctl@latest\n",
		version.UpdateNone:      "latest v2.0.0: nothing newer\n",
		version.UpdateUnknown:   "latest v2.0.0; this build has no version to compare with it\nNext: go install",
	} {
		var out bytes.Buffer
		write(&out, output{Latest: &version.Latest{Version: "v2.0.0", Update: update, Install: version.Install}})
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %q", update, &out)
		}
	}
}
