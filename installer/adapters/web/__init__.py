"""Downloads over HTTP(S).

Codes of its errors:

- ``E-WEB-001`` (exit 3) host or proxy cannot be reached: DNS, refused, no route, connect timeout
- ``E-WEB-002`` the file is not there (404, 410)
- ``E-WEB-003`` (exit 3) TLS: the certificate cannot be verified, or the handshake fails
- ``E-WEB-004`` wrong checksum
- ``E-WEB-005`` (exit 4) the transfer stalls or keeps breaking off
- ``E-WEB-006`` the server or the proxy refuses (401, 403, 407)
- ``E-WEB-007`` no space left on the disk
- ``E-WEB-008`` the server answers with another error, also after retries
- ``E-WEB-009`` redirects: too many, or from https to http
- ``E-WEB-010`` a document is larger than it may be, or not text
- ``E-WEB-011`` the destination cannot be written
- ``E-WEB-012`` (exit 2) a URL, proxy or CA file in the settings is unusable
- ``E-WEB-013`` another process is downloading to the same place
"""
