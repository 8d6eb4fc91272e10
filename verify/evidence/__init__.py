"""Measurements that theories are judged against, and the systems they are made of."""
