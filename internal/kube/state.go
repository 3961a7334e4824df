package kube

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// State is what a namespace and the cluster's nodes looked like at one moment, each list
// sorted by name and Events by the time they were last seen. It shares memory with the
// caches: read it, never write to what its fields point to.
type State struct {
	Pods         []corev1.Pod
	Services     []corev1.Service
	Slices       []discoveryv1.EndpointSlice
	Deployments  []appsv1.Deployment
	StatefulSets []appsv1.StatefulSet
	ReplicaSets  []appsv1.ReplicaSet
	Events       []corev1.Event
	Nodes        []corev1.Node
}

// stores are the caches that a State is read from.
type stores struct {
	pods, services, slices, deployments, statefulSets, replicaSets, events, nodes cache.SharedIndexInformer
}

func storesOf(f informers.SharedInformerFactory) stores {
	return stores{
		pods:         f.Core().V1().Pods().Informer(),
		services:     f.Core().V1().Services().Informer(),
		slices:       f.Discovery().V1().EndpointSlices().Informer(),
		deployments:  f.Apps().V1().Deployments().Informer(),
		statefulSets: f.Apps().V1().StatefulSets().Informer(),
		replicaSets:  f.Apps().V1().ReplicaSets().Informer(),
		events:       f.Core().V1().Events().Informer(),
		nodes:        f.Core().V1().Nodes().Informer(),
	}
}

func (s stores) all() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{
		s.pods, s.services, s.slices, s.deployments, s.statefulSets, s.replicaSets, s.events, s.nodes,
	}
}

func (s stores) state() *State {
	state := &State{
		Pods:         listed[corev1.Pod](s.pods),
		Services:     listed[corev1.Service](s.services),
		Slices:       listed[discoveryv1.EndpointSlice](s.slices),
		Deployments:  listed[appsv1.Deployment](s.deployments),
		StatefulSets: listed[appsv1.StatefulSet](s.statefulSets),
		ReplicaSets:  listed[appsv1.ReplicaSet](s.replicaSets),
		Events:       listed[corev1.Event](s.events),
		Nodes:        listed[corev1.Node](s.nodes),
	}
	slices.SortStableFunc(state.Events, func(a, b corev1.Event) int { return seen(&a).Compare(seen(&b).Time) })
	return state
}

// seen is when an event was last seen: which field says so depends on who wrote it.
func seen(e *corev1.Event) metav1.Time {
	switch {
	case e.Series != nil:
		return metav1.Time(e.Series.LastObservedTime)
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp
	case !e.EventTime.IsZero():
		return metav1.Time(e.EventTime)
	}
	return e.CreationTimestamp
}

// listed returns what a cache holds, sorted by name.
func listed[T any, P interface {
	*T
	metav1.Object
}](informer cache.SharedIndexInformer) []T {
	objects := informer.GetStore().List()
	list := make([]T, 0, len(objects))
	for _, object := range objects {
		if typed, ok := object.(P); ok {
			list = append(list, *typed)
		}
	}
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(P(&a).GetName(), P(&b).GetName()) })
	return list
}

// slim drops what labctl never reads before an object enters a cache: managedFields are
// half of most objects, the image list most of a node.
func slim(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	if node, ok := object.(*corev1.Node); ok {
		node.Status.Images = nil
	}
	return object, nil
}
