package grader

import "time"

// Timeouts are all the bounds in time of grading, in one place.
type Timeouts struct {
	// Ready is how long workloads get where the lab does not say.
	Ready time.Duration
	// Check bounds one check after its workloads are ready, where the lab does not say.
	Check time.Duration
	// Attempt bounds one connection with its answer; well below Settle.
	Attempt time.Duration
	// Settle is how long an answer that should come may take to come, while endpoints,
	// rules on the nodes and names spread through the cluster.
	Settle time.Duration
	// Strain is how much longer that is on a machine that has more to do than it can. It counts
	// as such where a timer of the probe's is later than Lag, or where processes wait for a
	// processor for more than Pressure percent of the time.
	Strain, Lag time.Duration
	Pressure    float64
	// Overload is how many processes may want each processor, as an average over a minute, until
	// silence that outlasts even that proves nothing. Gradings one at a time on two processors make
	// some eight.
	Overload float64
	// SettleBalancer is the same behind a load balancer, whose proxy may need a while
	// after its address is known.
	SettleBalancer time.Duration
	// Address is how long a load balancer's address may take to be assigned.
	Address time.Duration
	// Pause lies between two rounds of the same question.
	Pause time.Duration
	// Replace is how long a lost pod's replacement may take to become ready.
	Replace time.Duration
	// Outage is the longest silence that the loss of one pod may cause.
	Outage time.Duration
	// Rollout is how long a rolling update may take.
	Rollout time.Duration
	// Hold is how long a prediction of no answer has to hold: what has not settled yet
	// does not answer either. HoldBalancer is the same behind a load balancer.
	Hold         time.Duration
	HoldBalancer time.Duration
	// Retries is how often a check is tried again after a fault of ours.
	Retries int
}

// DefaultTimeouts suit a cluster of kind on a laptop.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Ready:          90 * time.Second,
		Check:          30 * time.Second,
		Attempt:        2 * time.Second,
		Settle:         8 * time.Second,
		Strain:         60 * time.Second,
		Lag:            50 * time.Millisecond,
		Pressure:       50,
		Overload:       20,
		SettleBalancer: 30 * time.Second,
		Address:        60 * time.Second,
		Pause:          250 * time.Millisecond,
		Replace:        30 * time.Second,
		Outage:         2 * time.Second,
		Rollout:        90 * time.Second,
		Hold:           4 * time.Second,
		HoldBalancer:   12 * time.Second,
		Retries:        3,
	}
}
