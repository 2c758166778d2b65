"""Registries of container images: the OCI distribution API on top of our HTTP client.

``client.py`` pulls, ``push.py`` pushes, ``auth.py`` answers challenges, ``credentials.py`` reads users' credentials.
The codes of errors are listed in ``installer.domain.images``.
"""
