"""Hubble Observer over gRPC. The only place that imports grpc and protobuf."""
