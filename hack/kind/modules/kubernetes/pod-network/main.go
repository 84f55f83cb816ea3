// Command pod-network connects the pods of kind's nodes, in place of kindnetd, which is published as an image only. On its node it writes the CNI
// configuration for the node's own range of pod addresses, keeps a route to every other node's range, and masquerades what pods send out of the
// cluster.
//
// It runs in the node's network with the node's root file system at /host, and uses the node's own ip and iptables: its image holds this one file.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	nodeRoot = "/host"
	cniFile  = nodeRoot + "/etc/cni/net.d/10-pod-network.conflist"
	// Until this node has its range nothing can run on it; afterwards only a node that joins or leaves changes anything.
	intervalBefore = time.Second
	intervalAfter  = 5 * time.Second
	requestTimeout = 20 * time.Second
)

type podNetwork struct {
	nodeName   string
	podSubnet  string
	nodes      func(context.Context) ([]corev1.Node, error)
	ownRange   string
	routeByDst map[string]string
}

func main() {
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatalf("reading the service account: %v", err)
	}
	// The Service address works only once kube-proxy has written its rules, and until then leads out of the machine.
	if endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		config.Host = "https://" + endpoint
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatalf("making a client for %s: %v", config.Host, err)
	}
	network := &podNetwork{
		nodeName:   mustGetenv("NODE_NAME"),
		podSubnet:  mustGetenv("POD_SUBNET"),
		routeByDst: map[string]string{},
		nodes: func(ctx context.Context) ([]corev1.Node, error) {
			// "0": from the API server's memory, as often as this asks.
			list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
			if err != nil {
				return nil, err
			}
			return list.Items, nil
		},
	}
	for {
		if err := network.synchronize(); err != nil {
			log.Printf("will be tried again: %v", err)
		}
		if network.ownRange == "" {
			time.Sleep(intervalBefore)
		} else {
			time.Sleep(intervalAfter)
		}
	}
}

func (n *podNetwork) synchronize() error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	nodes, err := n.nodes(ctx)
	if err != nil {
		return fmt.Errorf("listing the nodes: %w", err)
	}
	gatewayByRange := map[string]string{}
	for _, node := range nodes {
		switch {
		case node.Spec.PodCIDR == "":
		case node.Name == n.nodeName:
			if err := n.configureOwnRange(node.Spec.PodCIDR); err != nil {
				return err
			}
		default:
			if address := internalIPv4(node); address != "" {
				gatewayByRange[node.Spec.PodCIDR] = address
			}
		}
	}
	if err := n.route(gatewayByRange); err != nil {
		return err
	}
	return n.masquerade()
}

func (n *podNetwork) configureOwnRange(podRange string) error {
	if n.ownRange == podRange {
		return nil
	}
	configuration := fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": "pod-network",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "routes": [{ "dst": "0.0.0.0/0" }],
        "ranges": [[{ "subnet": %q }]]
      }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
`, podRange)
	if err := os.MkdirAll(filepath.Dir(cniFile), 0o755); err != nil {
		return err
	}
	// Renamed into place: the container runtime watches the folder and must not read half a file.
	if err := os.WriteFile(cniFile+".unfinished", []byte(configuration), 0o644); err != nil {
		return err
	}
	if err := os.Rename(cniFile+".unfinished", cniFile); err != nil {
		return err
	}
	n.ownRange = podRange
	log.Printf("pods of this node are in %s", podRange)
	return nil
}

func (n *podNetwork) route(gatewayByRange map[string]string) error {
	for podRange, gateway := range gatewayByRange {
		if n.routeByDst[podRange] == gateway {
			continue
		}
		if err := onNode("ip", "route", "replace", podRange, "via", gateway); err != nil {
			return err
		}
		n.routeByDst[podRange] = gateway
		log.Printf("%s is reached via %s", podRange, gateway)
	}
	for podRange := range n.routeByDst {
		if _, stays := gatewayByRange[podRange]; stays {
			continue
		}
		if err := onNode("ip", "route", "del", podRange); err != nil {
			return err
		}
		delete(n.routeByDst, podRange)
		log.Printf("%s is gone", podRange)
	}
	return nil
}

// masquerade is asked for each time: whoever flushes the table takes pods' way out with it.
func (n *podNetwork) masquerade() error {
	rule := []string{"POSTROUTING", "-s", n.podSubnet, "!", "-d", n.podSubnet, "-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", "MASQUERADE"}
	if onNode("iptables", append([]string{"-w", "-t", "nat", "-C"}, rule...)...) == nil {
		return nil
	}
	return onNode("iptables", append([]string{"-w", "-t", "nat", "-A"}, rule...)...)
}

func internalIPv4(node corev1.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP && net.ParseIP(address.Address).To4() != nil {
			return address.Address
		}
	}
	return ""
}

// onNode runs one of the node's own programs. By its path there: looked up here, in an image with no other file, it would not be found.
func onNode(program string, args ...string) error {
	command := &exec.Cmd{
		Path:        "/usr/sbin/" + program,
		Args:        append([]string{program}, args...),
		Dir:         "/",
		Env:         []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		SysProcAttr: &syscall.SysProcAttr{Chroot: nodeRoot},
	}
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(said)))
	}
	return nil
}

func mustGetenv(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatalf("%s is not set: the DaemonSet sets it", name)
	}
	return value
}
