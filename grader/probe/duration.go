package probe

import "time"

// What the probe program takes where a plan says nothing.
const (
	DefaultTimeout  = 2 * time.Second
	DefaultParallel = 32
)

// longest bounds how long the plan takes when nothing answers: with as many attempts under
// way as are allowed, all of them together, and after that the longest series.
func (p Plan) longest() time.Duration {
	parallel := p.Parallel
	if parallel <= 0 {
		parallel = DefaultParallel
	}
	var all, series time.Duration
	for _, probe := range p.Probes {
		attempts := time.Duration(max(probe.Attempts, 1))
		timeout := probe.Timeout
		if timeout <= 0 {
			timeout = DefaultTimeout
		}
		all += attempts * timeout
		if probe.Serial {
			series = max(series, attempts*(timeout+probe.Interval))
		} else {
			series = max(series, timeout)
		}
	}
	return all/time.Duration(parallel) + series
}
