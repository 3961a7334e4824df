package haproxy

import (
	"strings"
	"testing"
)

func TestWorkerReady(t *testing.T) {
	const (
		first  = "[NOTICE]   (1) : New worker (8) forked\n[NOTICE]   (1) : Loading success.\n"
		forked = "[NOTICE]   (1) : Reloading HAProxy\n[NOTICE]   (1) : New worker (9) forked\n"
		loaded = "[NOTICE]   (1) : Loading success.\n"
		alert  = "[ALERT]    (1) : Binding [labctl-haproxy.cfg:27] for frontend tcp-80-ipv4: cannot bind socket\n"
	)
	tests := map[string]struct {
		log, before string
		want        bool
		says        string // in the error; "" means none
	}{
		"nothing yet":                   {},
		"forked, not loaded":            {log: "[NOTICE]   (1) : New worker (8) forked\n"},
		"first start":                   {log: first, want: true},
		"without the brackets":          {log: "New worker (8) forked\nLoading success.\n", want: true},
		"reload not begun":              {log: first, before: first},
		"reload forked":                 {log: first + forked, before: first},
		"reload done":                   {log: first + forked + loaded, before: first, want: true},
		"alert at start":                {log: alert, says: "cannot bind socket"},
		"alert at reload":               {log: first + alert, before: first, says: "cannot bind socket"},
		"old alert is not news":         {log: first + alert + forked, before: first + alert},
		"old alert, then done":          {log: alert + first + forked + loaded, before: alert + first, want: true},
		"the log was cut at its head":   {log: forked + loaded, before: first, want: true},
		"cut so far that before's gone": {log: forked + alert, before: first, says: "cannot bind socket"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := workerReady(tt.log, tt.before)
			if got != tt.want {
				t.Errorf("ready: got %v, want %v", got, tt.want)
			}
			if (err != nil) != (tt.says != "") {
				t.Fatalf("got error %v, want one that says %q", err, tt.says)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got error %v, want one that says %q", err, tt.says)
			}
		})
	}
}
