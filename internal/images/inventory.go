package images

import (
	"encoding/json"
	"fmt"
)

// Where a cluster keeps its inventory: which fixture images its nodes hold. Graders
// compare the digests in pods' statuses with it.
const (
	InventoryNamespace = "labctl-system"
	InventoryName      = "labctl-images" // a ConfigMap
	inventoryKey       = "images.json"
)

// Inventory returns the images as the data of a ConfigMap.
func Inventory(images []Image) (map[string]string, error) {
	data, err := json.Marshal(images)
	if err != nil {
		return nil, fmt.Errorf("encode the inventory of images: %w", err)
	}
	return map[string]string{inventoryKey: string(data)}, nil
}

// ReadInventory returns the images in a ConfigMap's data, by reference.
func ReadInventory(data map[string]string) (map[string]Image, error) {
	var images []Image
	if err := json.Unmarshal([]byte(data[inventoryKey]), &images); err != nil {
		return nil, fmt.Errorf("read the inventory of images: %w", err)
	}
	byRef := map[string]Image{}
	for _, i := range images {
		byRef[i.Ref] = i
	}
	return byRef, nil
}
