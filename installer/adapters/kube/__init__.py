"""The Kubernetes API through the official asyncio client, plain JSON in and out.

The client library takes half a second and 60 MB to import, so nothing here imports it before a connection is opened.

Codes of this adapter:

    E-KUBE-001  the API is out of reach (refused, timeout, TLS)
    E-KUBE-002  no usable kubeconfig
    E-KUBE-003  forbidden by RBAC, verb and resource named
    E-KUBE-004  not found where that is an error
    E-KUBE-005  the credentials are not accepted
    E-KUBE-006  a command in a container did not end in time
    E-KUBE-007  conflict: the object exists or was changed by someone else
    E-KUBE-008  the API refused the request for another reason
    E-KUBE-009  a container cannot be entered or reached now
"""
