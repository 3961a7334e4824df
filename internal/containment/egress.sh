#!/bin/sh
# Lets pods reach pods, nodes and load balancers, and nothing beyond the engine's network: not
# the machine that the cluster runs on, not the internet. Names may still be asked for, which
# is the cluster's own DNS forwarding them.
set -eu
gateway=$(ip -4 route show default | awk '{print $3; exit}')
interface=$(ip -4 route show default | awk '{print $5; exit}')
network=$(ip -4 route show dev "$interface" scope link proto kernel | awk '{print $1; exit}')
chain=LABCTL-EGRESS

# At once: there is no moment at which half of the rules hold.
iptables-restore -w --noflush <<RULES
*filter
:$chain - [0:0]
-A $chain -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
-A $chain -d $gateway -p udp --dport 53 -j RETURN
-A $chain -d $gateway -p tcp --dport 53 -j RETURN
-A $chain -d $gateway -j REJECT
-A $chain -d $network -j RETURN
-A $chain -d POD_SUBNET -j RETURN
-A $chain -j REJECT
COMMIT
RULES
iptables -w -C FORWARD ! -i "$interface" -o "$interface" -j $chain 2>/dev/null ||
	iptables -w -I FORWARD 1 ! -i "$interface" -o "$interface" -j $chain
