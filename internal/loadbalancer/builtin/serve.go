package builtin

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/cloud-provider/controllers/service"
	"k8s.io/cloud-provider/service/helpers"
	"k8s.io/component-base/featuregate"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/loadbalancer/haproxy"
)

const (
	// workers is how many Services are worked on at the same time.
	workers = 8
	// Heartbeat is how often the state of things is looked at and reported.
	Heartbeat = 3 * time.Second
	// apiTimeout bounds one question to the API server, so that a dead one is noticed.
	apiTimeout = 2 * time.Second
	// resync is how often the controller looks again at the Services that it knows, for a
	// load balancer whose removal failed. It is the controller's own period.
	resync = 30 * time.Second
	// goneAfter is how many heartbeats in a row must find no node before the cluster
	// counts as deleted.
	goneAfter = 3
	// stopTimeout bounds the wait for the controller's workers at the end.
	stopTimeout = 2 * time.Second
	// rarely is how often the engine is asked for what seldom changes: the image while it is there,
	// load balancers while no Service wants one. Each of its commands costs a fifth of a second of
	// processor time, and a heartbeat comes often.
	rarely = 30 * time.Second
)

// LabelKindCluster is the label that kind puts on a cluster's nodes.
const LabelKindCluster = "io.x-k8s.kind.cluster"

// Health is what one heartbeat found.
type Health struct {
	Synced  bool              `json:"synced"`            // the cluster's Services are known and served
	Engine  string            `json:"engine,omitempty"`  // why the engine does not answer
	API     string            `json:"api,omitempty"`     // why the API server does not answer
	Image   string            `json:"image,omitempty"`   // why there is no HAProxy
	Failing map[string]string `json:"failing,omitempty"` // namespace/name: why it is not served
}

// Options are what Serve needs.
type Options struct {
	Engine     *engine.Engine
	Cluster    string // kind's name for it
	Kubeconfig []byte
	Image      string // HAProxy's; "" means haproxy.Image
	// Report gets the health at every heartbeat. Its error ends Serve.
	Report func(Health) error
}

// Serve serves the cluster's LoadBalancer Services until ctx ends or the cluster is gone;
// then it removes what it made and returns nil. When only ctx ends the load balancers
// stay: they go on working, and the next Serve takes them over.
func Serve(ctx context.Context, o Options) error {
	config, err := clientcmd.RESTConfigFromKubeConfig(o.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.QPS = -1 // one small client: nothing to protect the API server from
	config.UserAgent = "labctl-load-balancer"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for cluster %s: %w", o.Cluster, err)
	}
	containers := haproxy.NewContainers(o.Engine, o.Cluster, o.Image)
	s := &server{Options: o, client: client, balancer: newBalancer(containers, o.Cluster)}
	return s.run(ctx)
}

type server struct {
	Options
	client   kubernetes.Interface
	balancer *balancer

	noImage    string    // why there is no HAProxy
	imageSeen  time.Time // when it was looked for
	unanswered string    // why the engine did not answer last
	checked    time.Time // when the load balancers were looked at
}

func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	factory := informers.NewSharedInformerFactoryWithOptions(s.client, resync, informers.WithTransform(slim))
	svcs, nodes := factory.Core().V1().Services(), factory.Core().V1().Nodes()
	controller, err := service.New(cloud{s.balancer}, s.client, svcs, nodes, s.Cluster, featuregate.NewFeatureGate())
	if err != nil {
		return fmt.Errorf("make the service controller: %w", err)
	}
	g := &guard{balancer: s.balancer, services: serviceAPI{s.client, svcs.Lister()}}

	factory.Start(ctx.Done())
	var running sync.WaitGroup
	running.Go(func() {
		controller.Run(ctx, workers, controllersmetrics.NewControllerManagerMetrics("labctl"))
	})
	defer awaitGroup(&running, stopTimeout)
	defer cancel()
	synced := make(chan struct{})
	go func() {
		factory.WaitForCacheSync(ctx.Done())
		close(synced)
	}()
	return s.watch(ctx, g, synced)
}

// watch looks after everything at every heartbeat until ctx ends or the cluster is gone.
func (s *server) watch(ctx context.Context, g *guard, synced <-chan struct{}) error {
	tick := time.NewTicker(Heartbeat)
	defer tick.Stop()
	for missed := 0; ; {
		first := synced
		select {
		case <-synced:
			first = nil
		default:
		}
		health, nodes := s.look(ctx, g, first == nil)
		if ctx.Err() != nil {
			return nil
		}
		if err := s.Report(health); err != nil {
			return err
		}
		if missed++; nodes {
			missed = 0
		}
		if missed >= goneAfter {
			return s.removeAll(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-first: // at once; nil, and thus never, after the first time
		case <-tick.C:
		}
	}
}

// look returns the health, and whether the cluster still has nodes; an engine that does
// not answer says nothing about them.
func (s *server) look(ctx context.Context, g *guard, synced bool) (Health, bool) {
	h := Health{Synced: synced, API: text(s.ping(ctx))}
	nodes := h.API == "" // it runs on one
	var err error
	if !nodes {
		var ids []string
		ids, err = s.Engine.ContainerIDs(ctx, LabelKindCluster+"="+s.Cluster)
		nodes = len(ids) > 0
	}
	if err == nil && (s.noImage != "" || time.Since(s.imageSeen) > rarely) {
		s.noImage, s.imageSeen = text(s.image(ctx)), time.Now()
	}
	h.Image = s.noImage
	if err == nil && synced && (s.unanswered != "" || time.Since(s.checked) > rarely || !g.idle()) {
		h.Failing, err = g.check(ctx)
		s.checked = time.Now()
	}
	s.unanswered = text(err)
	h.Engine = s.unanswered
	return h, nodes || h.Engine != ""
}

func (s *server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	_, err := s.client.CoreV1().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err
}

func (s *server) image(ctx context.Context) error {
	image := s.Image
	if image == "" {
		image = haproxy.Image
	}
	_, ok, err := s.Engine.HasImage(ctx, image)
	if err == nil && !ok {
		err = fmt.Errorf("the engine has no image %s", image)
	}
	return err
}

func (s *server) removeAll(ctx context.Context) error {
	proxies, err := s.balancer.proxies.List(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, p := range proxies {
		names = append(names, p.Name)
	}
	return s.balancer.proxies.Remove(ctx, names...)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func awaitGroup(g *sync.WaitGroup, timeout time.Duration) {
	done := make(chan struct{})
	go func() { g.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(timeout):
	}
}

// slim drops what takes room in memory and nobody here reads.
func slim(object any) (any, error) {
	if m, ok := object.(metav1.Object); ok {
		m.SetManagedFields(nil)
	}
	if n, ok := object.(*corev1.Node); ok {
		n.Status.Images = nil
	}
	return object, nil
}

// serviceAPI is services for a real cluster.
type serviceAPI struct {
	client kubernetes.Interface
	lister corelisters.ServiceLister
}

func (a serviceAPI) Wanted() (map[types.UID]*corev1.Service, error) {
	all, err := a.lister.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	wanted := make(map[types.UID]*corev1.Service)
	for _, s := range all {
		// One that is being deleted still has its load balancer until its finalizer goes.
		if s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.LoadBalancerClass == nil {
			wanted[s.UID] = s
		}
	}
	return wanted, nil
}

func (a serviceAPI) SetStatus(s *corev1.Service, status *corev1.LoadBalancerStatus) error {
	updated := s.DeepCopy()
	updated.Status.LoadBalancer = *status
	if _, err := helpers.PatchService(a.client.CoreV1(), s, updated); err != nil {
		return fmt.Errorf("report the address of service %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}
