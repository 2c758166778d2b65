"""The one place that builds adapters and hands them to services.

Nothing heavy is imported until a function here is called: kubernetes, grpc and httpx load when they are first used.
"""
