"""Who is asking: gateways by tokens they sign, operators by API key or page session."""
