"""Security group rules as values: what they say, which one decides a packet, what a list of them lets through.

Pure: the standard library, and numpy where a module is about bulk. The language of a list stands here; what is said of
lists is in `analysis`, what is judged in bulk in `flows`, what people bring and take in `formats`, what a host gets in
`nftables`.
"""
