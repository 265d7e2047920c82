from tests.separation.toy_model import noise, toy_model

__all__ = ["noise", "toy_model"]
