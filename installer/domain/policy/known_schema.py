"""The fields of policies as beeyard knows them (Cilium 1.16 to 1.20), for work without a cluster.

Connected to a cluster its own CustomResourceDefinitions are used instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from installer.domain.policy.sanitize import ENTITIES

Schema = dict[str, Any]
STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}


def _object(required: str = "", /, **properties: Schema) -> Schema:
    found: Schema = {"type": "object", "properties": properties}
    return {**found, "required": required.split()} if required else found


def _list(items: Schema, most: int = 0) -> Schema:
    found: Schema = {"type": "array", "items": items}
    return {**found, "maxItems": most} if most else found


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _one_of(*names: str) -> Schema:
    return {"type": "string", "enum": list(names)}


_CIDR: Schema = {"type": "string", "format": "cidr"}
_SELECTOR = _object(
    matchLabels=_map({"type": "string", "maxLength": 63}),
    matchExpressions=_list(
        _object(
            "key operator",
            key=STRING,
            operator=_one_of("In", "NotIn", "Exists", "DoesNotExist"),
            values=_list(STRING),
        )
    ),
)
_CIDR_RULE: Schema = {
    **_object(cidr=_CIDR, cidrGroupRef=STRING, cidrGroupSelector=_SELECTOR, **{"except": _list(_CIDR)}),
    "oneOf": [{"required": [key]} for key in ("cidr", "cidrGroupRef", "cidrGroupSelector")],
}
_GROUP = _object(
    aws=_object(labels=_map(STRING), region=STRING, securityGroupsIds=_list(STRING), securityGroupsNames=_list(STRING))
)
_ICMPS = _list(
    _object(
        fields=_list(_object("type", family=_one_of("IPv4", "IPv6"), type={"x-kubernetes-int-or-string": True}), 40)
    )
)
_PORT = _object(
    port={"type": "string"},
    endPort={"type": "integer", "minimum": 0, "maximum": 65535},
    protocol=_one_of("TCP", "UDP", "SCTP", "ANY", "ICMP", "ICMPv6", "VRRP", "IGMP", "GRE", "IPIP", "IPV6", "ESP", "AH"),
)
_NAME_RULE = _object(matchName={"type": "string", "maxLength": 255}, matchPattern={"type": "string", "maxLength": 255})
_SECRET = _object("name", namespace=STRING, name=STRING)
_TLS = _object("secret", secret=_SECRET, trustedCA=STRING, certificate=STRING, privateKey=STRING)
_HTTP = _object(
    path=STRING,
    method=STRING,
    host=STRING,
    headers=_list(STRING),
    headerMatches=_list(
        _object("name", mismatch=_one_of("LOG", "ADD", "DELETE", "REPLACE"), name=STRING, secret=_SECRET, value=STRING)
    ),
)
_KAFKA = _object(apiVersion=STRING, apiKey=STRING, clientID=STRING, role=STRING, topic=STRING)
_PORT_RULE = _object(
    ports=_list(_PORT, 40),
    terminatingTLS=_TLS,
    originatingTLS=_TLS,
    serverNames=_list(STRING),
    listener=_object(
        "envoyConfig name",
        envoyConfig=_object("name", kind=_one_of("CiliumEnvoyConfig", "CiliumClusterwideEnvoyConfig"), name=STRING),
        name=STRING,
        priority={"type": "integer", "minimum": 1, "maximum": 100},
    ),
    rules=_object(
        http=_list(_HTTP), kafka=_list(_KAFKA), dns=_list(_NAME_RULE), l7=_list(_map(STRING)), l7proto=STRING
    ),
)
_AUTHENTICATION = _object("mode", mode=_one_of("disabled", "required", "test-always-fail"))
_SERVICE = _object(
    k8sService=_object(serviceName=STRING, namespace=STRING),
    k8sServiceSelector=_object("selector", selector=_SELECTOR, namespace=STRING),
)


def _rule(word: str, *, deny: bool) -> Schema:
    properties: dict[str, Schema] = {
        f"{word}Endpoints": _list(_SELECTOR),
        f"{word}Requires": _list(_SELECTOR),
        f"{word}CIDR": _list(_CIDR),
        f"{word}CIDRSet": _list(_CIDR_RULE),
        f"{word}Entities": _list(_one_of(*ENTITIES, "cluster-mesh")),
        f"{word}Groups": _list(_GROUP),
        f"{word}Nodes": _list(_SELECTOR),
        "toPorts": _list(_object(ports=_list(_PORT, 40)) if deny else _PORT_RULE),
        "icmps": _ICMPS,
    }
    if word == "to":
        properties["toServices"] = _list(_SERVICE)
    if not deny:
        properties["authentication"] = _AUTHENTICATION
        if word == "to":
            properties["toFQDNs"] = _list(_NAME_RULE)
    return _object(**properties)


_SPEC: Schema = {
    **_object(
        description=STRING,
        labels=_list(_object("key", key=STRING, value=STRING, source=STRING)),
        log=_object(value={"type": "string", "maxLength": 32}),
        endpointSelector=_SELECTOR,
        nodeSelector=_SELECTOR,
        enableDefaultDeny=_object(ingress=BOOLEAN, egress=BOOLEAN),
        ingress=_list(_rule("from", deny=False)),
        ingressDeny=_list(_rule("from", deny=True)),
        egress=_list(_rule("to", deny=False)),
        egressDeny=_list(_rule("to", deny=True)),
    ),
    "anyOf": [{"required": [section]} for section in ("ingress", "ingressDeny", "egress", "egressDeny")],
    "oneOf": [{"required": [key]} for key in ("endpointSelector", "nodeSelector")],
}
_CILIUM = {**_object(spec=_SPEC, specs=_list(_SPEC)), "anyOf": [{"required": ["spec"]}, {"required": ["specs"]}]}
_KNP_PORT = _object(protocol=_one_of("TCP", "UDP", "SCTP"), port={"x-kubernetes-int-or-string": True}, endPort=INTEGER)
_KNP_PEER = _object(
    podSelector=_SELECTOR,
    namespaceSelector=_SELECTOR,
    ipBlock=_object("cidr", cidr=_CIDR, **{"except": _list(_CIDR)}),
)
_NETWORK_POLICY = _object(
    spec=_object(
        podSelector=_SELECTOR,
        policyTypes=_list(_one_of("Ingress", "Egress")),
        ingress=_list(_object(ports=_list(_KNP_PORT), **{"from": _list(_KNP_PEER)})),
        egress=_list(_object(ports=_list(_KNP_PORT), to=_list(_KNP_PEER))),
    )
)


def _definition(schema: Schema) -> Mapping[str, Any]:
    return {"spec": {"versions": [{"storage": True, "schema": {"openAPIV3Schema": schema}}]}}


KNOWN_CRDS: Mapping[str, Mapping[str, Any]] = {
    "CiliumNetworkPolicy": _definition(_CILIUM),
    "CiliumClusterwideNetworkPolicy": _definition(_CILIUM),
    "NetworkPolicy": _definition(_NETWORK_POLICY),
}
"""Definitions by kind, in the form of CustomResourceDefinitions."""
