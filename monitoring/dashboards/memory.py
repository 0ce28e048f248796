"""Memory: what each service needs, against its budget and against what the model and its updates would take."""

from grafana import NEUTRAL, dashboard, query, row, stat, steps, table, timeseries

# A trainer holds the model: what is said of servers is not said of it.
SERVERS = " unless on (job, instance) tributary_trainer_info{M}"
OF_SITE = " * on (job, instance) group_left (site) tributary_trainer_info{M}"
MODEL = query("max(tributary_model_bytes{M})", "S, the model")
# A server that keeps updates would keep those of all jobs that run at once.
UPDATES = query("max(sum by (job, instance) (tributary_model_bytes{M} * tributary_round_size{M}))", "N·S, a round's updates")
LIMITS = (("S, ", "purple"), ("N·S", "red"))
MIB = 1024 * 1024

GLANCE = row(
    "At a glance",
    stat("S: the model", "Bytes of the model, in whole chunks; with several jobs at once of the largest.", "bytes", NEUTRAL, MODEL),
    stat("N: trainers in a round", "Trainers that the rounds of the running jobs ask for, together.", "none", NEUTRAL, query("max(sum by (job, instance) (tributary_round_size{M}))", "N"), decimals=0),
    stat("N·S: a round's updates", "What a server would hold that keeps every update until the last is there, of all running jobs.", "bytes", NEUTRAL, UPDATES),
    stat("Largest server", "Peak of resident memory of the server that needed most, as the kernel kept it. Constant for any S and any N: above base + budget + 64 MiB is a defect.",
         "bytes", steps("green", (192 * MIB, "orange"), (320 * MIB, "red")), query(f"max(tributary_memory_rss_peak_bytes{{M}}{SERVERS})", "peak")),
    stat("N·S over the largest server", "How many times what the servers need the round's updates are. Grows with the model; the servers do not.", "none",
         steps("orange", (1, "green")),
         query(f"max(sum by (job, instance) (tributary_model_bytes{{M}} * tributary_round_size{{M}})) / max(tributary_memory_rss_peak_bytes{{M}}{SERVERS})", "times"), decimals=2),
    stat("Out-of-memory kills", "Processes that the kernel killed in the containers of these services, in the time shown by a point of the graphs.", "none",
         steps("green", (1, "red")), query("sum(increase(tributary_memory_cgroup_oom_kills_total{M}[R]))", "kills"), decimals=0),
)

SERVER_ROW = row(
    "Servers: peak and resident, against budget, S and N·S",
    timeseries("Peak resident memory of each server", "The kernel's own mark (VmHWM), so that no spike between two scrapes is lost. It stays below base + budget + 100 KiB a connection "
               "while S and N·S lie where they will. Logarithmic.", "bytes", steps("green", (192 * MIB, "orange")),
               query(f"max by (job, instance) (tributary_memory_rss_peak_bytes{{M}}{SERVERS})", "{{job}} {{instance}}"), query(f"max(tributary_memory_budget_bytes{{M}}{SERVERS})", "budget, the largest"), MODEL, UPDATES,
               width=24, height=10, log=True, dashed=(*LIMITS, ("budget", "orange"))),
    timeseries("Peak above base and budget", "Peak less what the server had when it started and less its budget. Below 0: the budget was never used up. Above 64 MiB an alert fires.",
               "bytes", steps("green", (32 * MIB, "orange"), (64 * MIB, "red")),
               query(f"tributary_memory_rss_peak_bytes{{M}} - tributary_memory_base_bytes{{M}} - tributary_memory_budget_bytes{{M}}{SERVERS}", "{{job}} {{instance}}"),
               floor=None, line=True),
    timeseries("Resident memory now", "What each server has resident at each scrape, and the budgets they were given.", "bytes", steps("green", (192 * MIB, "orange")),
               query(f"process_resident_memory_bytes{{M}}{SERVERS}", "{{job}} {{instance}}"),
               query(f"max by (job) (tributary_memory_budget_bytes{{M}}{SERVERS})", "budget {{job}}"), dashed=(("budget", "red"),)),
)

POOL = row(
    "Pool: what the budget is used for",
    timeseries("Pool in use", "Part of the memory budget that is reserved. At 100 % transfers wait for each other: nothing breaks, it is slower.", "percentunit",
               steps("green", (0.8, "orange"), (0.95, "red")),
               query('1 - tributary_memory_pool_bytes{M, state="free"} / ignoring (state) tributary_memory_budget_bytes{M}', "{{job}} {{instance}}"), line=True),
    timeseries("Pool by use", "Bytes of all pools: read is on its way to peers (or asked for, at a worker), write is on its way to the disk.", "bytes", steps("blue"),
               query('sum by (job, state) (tributary_memory_pool_bytes{M, state!="free"})', "{{job}} {{state}}"), stack=True),
    timeseries("Most of the pool at once", "The pool's own mark, against the budget: how much of the budget a service ever needed. Much below: the budget may be smaller.", "bytes",
               steps("green"), query("tributary_memory_pool_peak_bytes{M}", "{{job}} {{instance}}"), query("max(tributary_memory_budget_bytes{M})", "budget, the largest"),
               dashed=(("budget", "red"),)),
    timeseries("Who held the most", "Largest bytes at once of the pool's buffers, of frames that were received, and of libtorch (trainers alone).", "bytes", steps("blue"),
               query("max by (job, owner) (tributary_memory_owner_peak_bytes{M})", "{{job}} {{owner}}")),
)

CONTAINERS = row(
    "Containers",
    timeseries("Container against its limit", "The control group's peak, with page cache and socket buffers, and its limit where it has one. Page cache fills a container that writes "
               "files up to its limit, and goes when room is needed: look at the panel beside for what does not go.", "bytes", steps("blue"),
               query("max by (job, instance) (tributary_memory_cgroup_peak_bytes{M})", "{{job}} {{instance}} peak"),
               query("max by (job, instance) (tributary_memory_cgroup_bytes{M})", "{{job}} {{instance}} now"),
               query("max by (job) (tributary_memory_cgroup_limit_bytes{M})", "limit {{job}}"),
               query("max by (job) (tributary_memory_budget_bytes{M})", "budget {{job}}"), MODEL, UPDATES,
               log=True, dashed=(("limit", "red"), ("budget", "orange"), *LIMITS)),
    timeseries("Resident memory as a part of the limit", "What cannot be taken back, against the container's limit. At 100 % the kernel kills the process.", "percentunit",
               steps("green", (0.8, "orange"), (0.9, "red")),
               query("process_resident_memory_bytes{M} / tributary_memory_cgroup_limit_bytes{M}", "{{job}} {{instance}}"), line=True),
    timeseries("Restarts", "Times that a process was replaced by another. One that is killed for want of memory shows here: the count of such kills ends with its container.", "none",
               steps("green", (1, "orange"), (2, "red")), query("changes(process_start_time_seconds{M}[R])", "{{job}} {{instance}}"), width=24, height=5, bars=True),
)

PHASES = row(
    "By phase",
    timeseries("Peak of workers, by phase", "Largest resident memory of a worker in each phase of its tasks, as the kernel kept it (with --own-peaks each phase has its own mark). "
               "download and upload need the model and a window; train needs gradients and optimizer besides.", "bytes", steps("blue"),
               query("max by (job, phase) (tributary_memory_phase_peak_bytes{M})", "{{job}} {{phase}}"), MODEL, dashed=LIMITS),
    timeseries("Servers in each phase of the round", "Resident memory of each server, colored by what the job did, or most of several: a server whose memory depends on the phase shows here.", "bytes",
               steps("green", (192 * MIB, "orange")),
               query(f"max by (job, phase) ((process_resident_memory_bytes{{M}}{SERVERS}) * on () group_left (phase) (topk(1, sum by (phase) (tributary_round_phase{{M}} == 1)) > bool 0))",
                     "{{job}} {{phase}}")),
)

TRAINERS = row(
    "Trainers by site",
    timeseries("Peak of the largest trainer, by site", "A trainer holds the model, its gradients and optimizer (or a window, where it streams), and libtorch's 150 MB.", "bytes",
               steps("blue"), query(f"max by (site) (tributary_memory_rss_peak_bytes{{M}}{OF_SITE})", "{{site}}"), MODEL, dashed=LIMITS),
    timeseries("Resident memory of trainers, by site", "All trainers of a site together: what the site gives.", "bytes", steps("blue"),
               query(f"sum by (site) (process_resident_memory_bytes{{M}}{OF_SITE})", "{{site}}"), stack=True),
    table("Trainers", "Each trainer, scraped or relayed.", "bytes", NEUTRAL,
          [(f"max by (site, trainer) (tributary_trainer_info{{M}} * on (job, instance) group_left () {name}{{M}})", heading) for name, heading in
           (("process_resident_memory_bytes", "resident"), ("tributary_memory_rss_peak_bytes", "peak"), ("tributary_memory_base_bytes", "at start"),
            ("tributary_memory_budget_bytes", "budget"), ("tributary_memory_pool_peak_bytes", "pool peak"))],
          labels=("site", "trainer")),
)

DASHBOARD = dashboard("tributary-memory", "Tributary / Memory", "Memory of each service by phase, against its budget, its container and S and N·S; trainers by site.",
                      [GLANCE, SERVER_ROW, POOL, CONTAINERS, PHASES, TRAINERS])
