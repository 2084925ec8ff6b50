"""Mistakes that the checks of 35_ex_steering must name: code in the student's place, and a word of the message."""

WRONG = {
    "5.1": [
        ('same = {"kept": 1.0, "dropped": 1.0}', "copy"),
        ('same = {"kept": 0.85, "dropped": 0.85}', "no edit at all"),
        (
            """
with torch.no_grad():
    copied = lists.split.finish(sae.decode(sae.encode(lists.split.h)))
one, two = (s.topk(10).indices for s in (lists.scores, copied))
same = {"kept": 1.0, "dropped": float((one[:, :, None] == two[:, None]).any(2).float().mean())}
""",
            "mask",
        ),
    ],
    "5.2": [
        (
            """
def turned(z, latent, rule, dose):
    z[:, latent] = dose if rule == "set" else z[:, latent] + dose if rule == "add" else z[:, latent] * dose
    return z
""",
            "copy",
        ),
        (
            """
def turned(z, latent, rule, dose):
    out = z.clone()
    old = out[:, latent]
    out[:, latent] = {"set": old * 0 + dose, "add": torch.where(old > 0, old + dose, old), "scale": old * dose}[rule]
    return out
""",
            "every row",
        ),
        (
            """
def turned(z, latent, rule, dose):
    out = z.clone()
    out[:, latent] = z[:, latent] + dose if rule != "scale" else z[:, latent] * dose
    return out
""",
            "twice",
        ),
    ],
    "5.3": [
        ("def steer_last(split, direction, dose):\n    return split.h + dose * direction", "Every position"),
        (
            """
def steer_last(split, direction, dose):
    h = split.h.clone()
    h[-1] += dose * direction
    return h
""",
            "different lengths",
        ),
        (
            "def steer_last(split, direction, dose):\n    split.h[split.last] += dose * direction\n    return split.h",
            "in place",
        ),
    ],
    "5.4": [
        ("def difference(h, has):\n    return h[has].mean(0)", "in common"),
        (
            """
def response(h, finish, seen, wanted, vector, doses):
    return np.array([float(wanted[finish(h + d * vector).topk(10).indices].float().mean()) for d in doses])
""",
            "has seen",
        ),
        (
            """
def response(h, finish, seen, wanted, vector, doses):
    out = []
    for d in doses:
        h = h + d * vector
        top = finish(h).masked_fill(seen, -torch.inf).topk(10).indices
        out.append(float(wanted[top].float().mean()))
    return np.array(out)
""",
            "unedited rows",
        ),
    ],
    "5.5": [
        (
            """
def dose_for(share, wanted, high):
    low_share, high_share = share(0.0), share(high)
    if high_share < wanted:
        raise ValueError("not reached")
    return high * (wanted - low_share) / (high_share - low_share)
""",
            "smaller dose",
        ),
        (
            """
def dose_for(share, wanted, high):
    for dose in np.linspace(0, high, 2000):
        if share(dose) >= wanted:
            return dose
    raise ValueError("not reached")
""",
            "too often",
        ),
        (
            """
def side_effect(before, after, attributes, turned):
    change = attributes[after].mean((0, 1)) - attributes[before].mean((0, 1))
    return np.delete(change, turned).mean()
""",
            "cancel",
        ),
    ],
}
