"""What we want to hold, and whether one run's figures do. The reasons stand in the README."""

import statistics

import registry

MIB = 1 << 20


class Goals:
    """Judges each goal whose figures were measured, in the order of the list."""

    def __init__(self, jobs, extras):
        self.jobs = jobs
        self.extras = extras
        self.judged = []

    def figure(self, job, name, key, which):
        """The median or the least of one participant at one job; None where it took no part or failed."""
        records = self.jobs.get(job, {})
        record = records.get(name)
        return record[key][which] if record and not record["failures"] and record[key] else None

    def median(self, job, name, key):
        return self.figure(job, name, key, "median")

    def ratio(self, job, name, key, which="median"):
        ours, its = (self.figure(job, participant, key, which) for participant in ("slashopt", name))
        return ours / its if ours is not None and its else None

    def judge(self, what, value, limit, unit="", least=None):
        if value is not None:
            self.judged.append({"goal": what, "value": value, "least": least, "limit": limit, "unit": unit, "held": value <= limit})

    def judge_ratio(self, what, job, name, key, limit):
        """By the medians; what the least time of each comes to stands beside it."""
        self.judge(what, self.ratio(job, name, key), limit, least=self.ratio(job, name, key, "min"))

    def all(self):
        five, big, overridden = (("five", "tmpfs"), ("big", "tmpfs"), ("overridden", "tmpfs"))
        for peer, limit in {"ripunzip": 0.45, "bsdtar": 0.22, "unzip": 0.16, "python zipfile": 0.15}.items():
            self.judge_ratio(f"five, tmpfs: wall / {peer}", five, peer, "wall", limit)
        self.judge_ratio("five, tmpfs: CPU / floor", five, "floor", "cpu", 1.10)
        self.judge_ratio("five, ext4: wall / ripunzip", ("five", "ext4"), "ripunzip", "wall", 0.60)
        self.judge_ratio("big: wall / ripunzip", big, "ripunzip", "wall", 0.55)
        self.judge_ratio("big: wall / the floor's bound", big, "floor", "wall", 1.10)
        self.judge_ratio("overridden: ten layers / the tenth alone", overridden, "tenth alone", "wall", 1.10)

        few, many = (self.ratio((name, "tmpfs"), "floor", "cpu") for name in ("small-10k", "small-500k"))
        self.judge("CPU / floor at 500k files, over that at 10k", many / few if few and many else None, 1.10)
        memory = self.extras.get("memory")
        if memory:
            self.judge(f"index and plan, bytes an entry, from {memory['from']} to {memory['to']}", memory["bytes_an_entry"], 400, "B")
        huge = self.median(("huge", "tmpfs"), "slashopt", "rss")
        index = self.extras.get("huge_index")
        self.judge("huge: peak RSS less that of --dry-run", max(huge - index, 0) / MIB if huge and index else None, 256, "MiB")
        group = self.extras.get("little_memory", {})
        if "exit" in group:
            self.judge("huge in 128 MiB: exit status", group["exit"], 0)
        floor = self.jobs.get(("five", "tmpfs"), {}).get("floor")
        if floor and floor["samples"]:
            self.judge("five: merging and planning", part(floor["samples"], "plan_wall") * 1e3, 5, "ms")
        self.judge("start: --version over /bin/true", self.extras["start"]["milliseconds"], 0.5, "ms")
        return self.judged

    def of_the_registry(self):
        """The goals of the registry's server; a rate is judged by what moto's is of it."""
        figures = self.extras["registry"]
        ours, its = (registry.median(figures, "GetLayerVersion", server, "rate") for server in ("slashopt", "moto"))
        self.judge("GetLayerVersion: rate of moto / ours", its / ours, 0.05)
        published = figures["samples"][registry.PUBLISHING]["slashopt"]
        self.judge("PublishLayerVersion: peak RSS", max(sample["peak"] for sample in published) / MIB, 256, "MiB")
        return self.judged


def part(samples, key):
    """The median of one part that the floor's program timed alone."""
    return statistics.median(sample[key] for sample in samples)


def beside_the_floor(records):
    """What the floor leaves out, and what it comes to: nobody who checks what they extract can be nearer to it."""
    parts = {"reading and judging the directories": "load", "merging and planning": "plan",
             "reading the archives": "read", "sums": "sums"}
    samples = records["floor"]["samples"]
    floor = part(samples, "cpu")
    told = [f"{what} {part(samples, key + '_cpu') * 1e3:.1f} ms" for what, key in parts.items()]
    whole = (floor + sum(part(samples, key + "_cpu") for key in parts.values())) / floor
    text = f"The floor's CPU time leaves out: {', '.join(told)}. With them it would be {whole:.2f} of itself."
    fast = records.get("ripunzip")
    if fast and not fast["failures"] and fast["wall"]:
        bound = records["floor"]["wall"]["min"] / fast["wall"]["min"]
        text += f" In the least times its bound alone is {bound:.2f} of ripunzip's wall time, and with them {bound * whole:.2f}."
    return text


def number(value):
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def goals_table(judged):
    heading = "measured (least of each)" if any(goal.get("least") for goal in judged) else "measured"
    lines = [f"| goal | {heading} | at most | |", "|---|---|---|---|"]
    for goal in judged:
        unit = f" {goal['unit']}" if goal["unit"] else ""
        least = f" ({number(goal['least'])})" if goal.get("least") else ""
        lines.append(f"| {goal['goal']} | {number(goal['value'])}{unit}{least} | {goal['limit']:g}{unit} "
                     f"| {'held' if goal['held'] else 'MISSED'} |")
    return "\n".join(lines)


def job_table(records, rss_floor):
    """Everything about one job: medians, and the least and the most."""
    lines = ["| tool | wall s (min–max) | CPU s (min–max) | peak RSS MB | our wall / its | our CPU / its | files, directories, links |",
             "|---|---|---|---|---|---|---|"]
    ours = records["slashopt"]
    for name, record in records.items():
        cells = [name]
        if record["failures"]:
            cells[0] += f" (**exit {record['failures'][0]['exit']}**)"
        for key in ("wall", "cpu"):
            spread = record[key]
            cells.append(f"{spread['median']:.3f} ({spread['min']:.3f}–{spread['max']:.3f})" if spread else "")
        rss = record["rss"]
        # The floor's program holds all content in memory, which says nothing.
        cells.append("" if not rss or name == "floor" else f"{rss['median'] / 1e6:.0f}"
                     if rss["median"] > rss_floor * 1.05 else f"≤ {rss_floor / 1e6:.0f}")
        for key in ("wall", "cpu"):
            comparable = record is not ours and not ours["failures"] and record[key] and record[key]["median"]
            cells.append(f"{ours[key]['median'] / record[key]['median']:.2f}" if comparable else "")
        tree = record["tree"]
        cells.append(f"{tree['file']}, {tree['directory']}, {tree['link']}" if tree else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def readme_table(jobs, titles):
    """One line a job: our time, what it is of the floor, and the wall times of the others as multiples of ours."""
    peers = []
    for records in jobs.values():
        peers += [name for name in records if name not in ("slashopt", "floor", "tenth alone", *peers)]
    lines = [f"| work | file system | wall s | CPU s | CPU / floor | wall / bound | {' | '.join(peers)} |",
             "|---" * (6 + len(peers)) + "|"]
    for (workload, place), records in jobs.items():
        ours = records["slashopt"]
        if ours["failures"]:
            lines.append(f"| {titles[workload]} | {place} | failed |" + " |" * (3 + len(peers)))
            continue

        def multiple(name, key, sign, ours=ours, records=records, inverse=False):
            its = records.get(name)
            if not its or its["failures"] or not its[key]:
                return "failed" if its and its["failures"] else ""
            ratio = ours[key]["median"] / its[key]["median"]
            return f"{1 / ratio if inverse else ratio:.2f}{sign}"

        cells = [titles[workload], place, f"{ours['wall']['median']:.3f}", f"{ours['cpu']['median']:.3f}",
                 multiple("floor", "cpu", ""), multiple("floor", "wall", "")]
        cells += [multiple(peer, "wall", "×", inverse=True) for peer in peers]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
