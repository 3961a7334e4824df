package batch

// Cause is why a cluster was made.
type Cause string

// The causes.
const (
	First    Cause = "first"
	Recycled Cause = "recycled" // after so many submissions
	Unsound  Cause = "unsound"  // the one before was unhealthy, or not clean
)

// Causes lists them all.
func Causes() []Cause { return []Cause{First, Recycled, Unsound} }

// PoolState is what a pool is like at one moment, and what has become of its clusters so far.
type PoolState struct {
	// Clusters by what they are: still to be made, being made, without work, at work, and no
	// longer given any until they are made anew.
	Unmade, Making, Idle, Busy, Draining int

	Running  int // submissions in them
	Capacity int // submissions at the same time, if all clusters were there and the machine could
	Limit    int // the same as the machine can now
	Made     map[Cause]int
	Failed   int // makings that came to nothing
}

// State tells what the pool is like.
func (p *Pool) State() PoolState {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := PoolState{Running: p.running(), Capacity: p.pace.most, Limit: p.pace.limit, Made: map[Cause]int{}, Failed: p.failed}
	for _, c := range Causes() {
		st.Made[c] = p.made[c]
	}
	for _, s := range p.slots {
		switch {
		case s.making:
			st.Making++
		case s.closed && s.running > 0:
			st.Draining++
		case s.closed, s.site == nil:
			st.Unmade++
		case s.running > 0:
			st.Busy++
		default:
			st.Idle++
		}
	}
	return st
}

// add counts, and returns how many there are now.
func (p *Pool) add(count *int, n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	*count += n
	return *count
}
