"""A conformance tester: asks any DPWS 1.1 device, and says rule by rule whether it keeps the profile.

Whatever the device sends is evidence and never trusted: sizes, counts and times are bounded, and what cannot be read
is a finding, not an error.
"""
