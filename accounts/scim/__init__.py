"""SCIM 2.0 (RFC 7643, 7644): the company's directory keeps people and groups here. The protocol's words are scim2-models'; rows and rules are ours."""
