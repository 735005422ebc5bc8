"""Makes splits.tsv: which variant a visitor gets, computed by other code than the service's.

Integers alone, nothing but the standard library: `python3 tests/data/splits.py > tests/data/splits.tsv`.
docs/semantics.md says what is computed.
"""

import ipaddress
import random

MASK = (1 << 64) - 1


def rotated(value, by):
    return ((value << by) | (value >> (64 - by))) & MASK


def siphash_2_4(key, data):
    """SipHash-2-4 as its authors give it (https://www.aumasson.jp/siphash/siphash.pdf)."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[2] = (v[2] + v[3]) & MASK
            v[1] = rotated(v[1], 13) ^ v[0]
            v[3] = rotated(v[3], 16) ^ v[2]
            v[0] = rotated(v[0], 32)
            v[2] = (v[2] + v[1]) & MASK
            v[0] = (v[0] + v[3]) & MASK
            v[1] = rotated(v[1], 17) ^ v[2]
            v[3] = rotated(v[3], 21) ^ v[0]
            v[2] = rotated(v[2], 32)

    whole = len(data) // 8 * 8
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, whole, 8)]
    words.append(int.from_bytes(data[whole:], "little") | (len(data) & 255) << 56)
    for word in words:
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 255
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def rarity(value):
    """-log2((value + 1/2) / 2^64) in units of 2^-40."""
    odd = 2 * value + 1
    whole = odd.bit_length() - 1
    number, log = (odd << 63) >> whole, whole
    for _ in range(40):
        number = number * number >> 63
        bit = number >> 64
        number >>= bit
        log = 2 * log + bit
    return (65 << 40) - log


def visitor_bytes(visitor):
    kind, _, rest = visitor.partition(":")
    if kind == "id":
        return b"i" + rest.encode()
    address, _, user_agent = rest.partition("|")
    if not address:
        return b"u" + user_agent.encode()
    address = ipaddress.ip_address(address)
    packed = address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
    return b"a" + packed + user_agent.encode()


def line(key, shop, slug, rule, visitor, variants):
    names = "\x1f".join([shop, slug, rule]).encode() + b"\x1f"
    told = visitor_bytes(visitor)
    hashes = [siphash_2_4(key, names + id.encode() + b"\x1f" + told) for id, _ in variants]
    rarities = [rarity(value) for value in hashes]
    best = None
    for (id, weight), rare in zip(variants, rarities):
        # Fractions are compared by multiplying out.
        if weight and (best is None or (rare * best[2], id) < (best[1] * weight, best[0])):
            best = (id, rare, weight)
    cells = [
        key.hex(),
        shop,
        slug,
        rule,
        visitor,
        ",".join(f"{id}={weight}" for id, weight in variants),
        ",".join(f"{value:016x}" for value in hashes),
        ",".join(map(str, rarities)),
        best[0],
    ]
    return "\t".join(cells)


def main():
    assert siphash_2_4(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5  # the paper's own vector
    print("# Which variant a visitor gets; made by splits.py, see docs/semantics.md. Between the cells stands a tab.")
    print("# key\tshop\tslug\trule\tvisitor (id:… or client:address|user agent)\tid=weight,…\thashes\trarities\tchosen")
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
    key = bytes(range(16))
    even = [("a", 1), ("b", 1)]
    for visitor in [
        "id:anna",
        "id:",
        "id:ünïcode",
        f"client:192.0.2.7|{firefox}",
        f"client:::ffff:192.0.2.7|{firefox}",
        f"client:2001:db8::7|{firefox}",
        "client:192.0.2.7|",
        f"client:|{firefox}",
        "client:|",
    ]:
        print(line(key, "acme", "sale", "test", visitor, even))
    print(line(bytes(16), "acme", "sale", "test", "id:anna", even))
    print(line(key, "acme2", "sale", "test", "id:anna", even))
    print(line(key, "acme", "sale2", "test", "id:anna", even))
    print(line(key, "acme", "sale", "test2", "id:anna", even))
    print(line(key, "acme", "sale", "test", "id:anna", [("a", 0), ("b", 1)]))
    print(line(key, "acme", "sale", "test", "id:anna", [("a", 10000), ("b", 1), ("c", 0)]))
    draw = random.Random(20261122)
    for _ in range(80):
        variants = [(f"v{at}", draw.choice([0, 1, 2, 30, 70, 5000, 10000])) for at in range(draw.randint(2, 20))]
        if not any(weight for _, weight in variants):
            variants[0] = ("v0", 1)
        key = draw.randbytes(16)
        visitor = draw.choice([f"id:{draw.randbytes(16).hex()}", f"client:198.51.100.{draw.randint(0, 255)}|{firefox}"])
        print(line(key, f"shop-{draw.randint(1, 9)}", f"link-{draw.randint(1, 99)}", "r", visitor, variants))


main()
