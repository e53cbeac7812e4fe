"""What explaining the five real layers costs: `collisions` beside the floor of its work, `check` beside extracting them.

All of them are whole processes, the floor's program too: it reads the indexes, merges, inflates what must be compared, and ends.
"""

import json
import os
import statistics

import goals
import participants
import places
from participants import run
from workloads import TARGET, WORKLOADS, say

# The name, what it is measured against, and the most that its wall time may be of that.
GOALS = [("collisions", "reading the indexes and inflating what must be compared", 1.5), ("check", "extract", 1.0)]


def floor_of_collisions(binary, layers, threads):
    """What the floor's program takes, with its parts as it times them itself, and what it had to inflate."""
    taken, text, failure = run([[binary, "--compared", str(threads), *layers]])
    return taken if failure else {**taken, **json.loads(text)}, failure


def measure(binary, floor, workload, place, runs, threads):
    """A first round for warmth, then `runs` rounds of all four, each with another one first; the samples of each."""
    layers = workload.layers
    words = ["--threads", str(threads), "-q"]

    def command(name, *more):
        taken, _, failure = run([[binary, name, *layers, *more, *words]])
        return taken, failure

    def extract():
        with place.fresh() as directory:
            taken, _, failure = run([[binary, "extract", *layers, "--into", os.path.join(directory, "opt"), *words]])
            return taken, failure

    jobs = [("collisions", lambda: command("collisions")), (GOALS[0][1], lambda: floor_of_collisions(floor, layers, threads)),
            ("check", lambda: command("check", "--runtime", "python3.11")), ("extract", extract)]
    samples = {name: [] for name, _ in jobs}
    for turn in range(runs + 1):
        say(f"explaining: {'warming up' if turn == 0 else f'round {turn} of {runs}'}")
        start = turn % len(jobs)
        for name, job in jobs[start:] + jobs[:start]:
            taken, failure = job()
            if failure:
                raise SystemExit(f"error: {name} failed, exit {failure[0]}: {failure[1]}")
            if turn:
                samples[name].append(taken)
    return samples


def judge(samples):
    """The goals, in the form of the others."""
    def wall(name):
        return statistics.median(sample["wall"] for sample in samples[name])
    return [{"goal": f"{name}: wall / {of}", "value": wall(name) / wall(of), "limit": limit, "unit": "",
             "held": wall(name) <= limit * wall(of)} for name, of, limit in GOALS]


def report(samples, judged, load):
    lines = ["| work | wall ms (min–max) | CPU ms |", "|---|---|---|"]
    for name, taken in samples.items():
        walls, cpus = ([sample[key] * 1e3 for sample in taken] for key in ("wall", "cpu"))
        lines.append(f"| {name} | {statistics.median(walls):.1f} ({min(walls):.1f}–{max(walls):.1f}) | {statistics.median(cpus):.1f} |")
    first = samples[GOALS[0][1]][0]
    print("## explaining: five real layers\n\n" + "\n".join(lines))
    print(f"\n{first['files']} files, {first['bytes'] / 1e3:.0f} kB, had to be compared.\n\n" + goals.goals_table(judged))
    print(f"\nload at the start {load:.1f}")


def main(binary, threads, runs):
    """Measures, and prints what was measured; a missed goal is printed and no failure."""
    floor = participants.floor(threads).binary
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    load = os.getloadavg()[0]
    five = next(workload for workload in WORKLOADS if workload.name == "five")
    five.prepare()
    with places.Tmpfs(five.room * 5 // 4) as place:
        samples = measure(binary, floor, five, place, runs, threads)
    judged = judge(samples)
    report(samples, judged, load)
    with open(os.path.join(TARGET, "bench-explain.json"), "w") as file:
        json.dump({"load_at_start": load, "samples": samples, "goals": judged}, file, indent=1)
        file.write("\n")
    return 0
