"""Test doubles shipped as code."""
