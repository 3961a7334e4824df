package grader

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"labctl.dev/labctl/internal/engine"
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/images"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
)

// Target says where the objects to grade are.
type Target struct {
	Namespace  string `json:"namespace"`
	Kubeconfig string `json:"kubeconfig"` // "" means the user's
	Context    string `json:"context"`
	Cluster    string `json:"cluster"`  // kind's name for it
	Provider   string `json:"provider"` // docker, podman, nerdctl; "" finds out
}

// Dial opens a session on a real cluster. The session's watches end with ctx.
func Dial(ctx context.Context, l *lab.Lab, t Target, balanced Balanced) (*Session, error) {
	e, err := engine.Detect(ctx, t.Provider)
	if err != nil {
		return nil, err
	}
	client, err := kube.Connect(t.Kubeconfig, t.Context)
	if err != nil {
		return nil, err
	}
	return Open(ctx, l, client, t, PlacesIn(e, client, t.Cluster, t.Namespace, balanced))
}

// Open opens a session on a cluster that is connected already. The session's watches end
// with ctx.
func Open(ctx context.Context, l *lab.Lab, client *kube.Client, t Target, places Places) (*Session, error) {
	nonce := make([]byte, 12)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("choose this run's value: %w", err)
	}
	fixtures, err := inventory(ctx, client)
	if err != nil {
		return nil, fault.Environmentf("find out which fixture images the cluster holds: %w", err).WithRemedy("labctl up --name %s", t.Cluster)
	}
	w, err := client.Watch(ctx, t.Namespace)
	if err != nil {
		return nil, err
	}
	return &Session{
		Lab: l, Namespace: t.Namespace, Cluster: client, Watcher: w, Places: places,
		IsImage: func(image, imageID string) bool { return fixtures[image].Matches(imageID) },
		Nonce:   hex.EncodeToString(nonce), Timeouts: DefaultTimeouts(),
	}, nil
}

func inventory(ctx context.Context, client *kube.Client) (map[string]images.Image, error) {
	data, err := client.ConfigMap(ctx, images.InventoryNamespace, images.InventoryName)
	if err != nil {
		return nil, err
	}
	return images.ReadInventory(data)
}
