"""Container images: references, manifests, where they are pulled from, which a chart wants.

Codes of errors about images and registries:

- ``E-REG-001`` (exit 2) an image reference, a registry's address or a mirror is unusable
- ``E-REG-002`` the registry has no such image
- ``E-REG-003`` the registry refuses: no or wrong credentials, or no right to do that
- ``E-REG-004`` what the registry sent has another digest than the one asked for
- ``E-REG-005`` a manifest is malformed, too large, or of a kind that is not supported
- ``E-REG-006`` the image does not exist for an architecture
- ``E-REG-007`` (exit 2) the file with the registries' credentials is unusable
- ``E-REG-008`` the registry does not take an image
- ``E-REG-009`` the registry's token service gives no token
"""
