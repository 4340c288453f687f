"""The certificate of a model: what physics and numerics promise, checked and measured."""

from nbcore.certificate.certify import Certificate, Check, certify, of_model

__all__ = ["Certificate", "Check", "certify", "of_model"]
