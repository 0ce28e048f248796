"""Federation: what the jobs do, how well, who takes part, where the time goes, what moves."""

from grafana import NEUTRAL, dashboard, query, row, stat, steps, table, timeline, timeseries

GOOD_ABOVE_ZERO = steps("red", (1, "green"))
BAD_ABOVE_ZERO = steps("green", (1, "red"))

GLANCE = row(
    "At a glance",
    stat("Jobs", "The jobs that run; empty while none does.", "short", NEUTRAL,
         query("tributary_job_info{M}", "{{name}}"), names=True, width=5),
    stat("Phase", "What each job does now: wait (for trainers), init (the first model is made), train, aggregate, seal, validate.", "short",
         NEUTRAL, query("tributary_round_phase{M} == 1", "{{name}}: {{phase}}"), names=True, width=4),
    stat("Round", "The round that is under way, and how many the job has.", "none", NEUTRAL,
         query("max by (name) (tributary_job_round{M})", "{{name}}"), query("max by (name) (tributary_job_rounds{M})", "{{name}} of"), width=4, decimals=0),
    stat("Jobs queued", "Jobs that wait for trainers, or for one of those at once to end. `tributary status JOB` says which.", "none", NEUTRAL,
         query('sum(tributary_jobs{M, state="queued"})', "queued"), width=2, decimals=0),
    stat("Trainers there", "Part of the running jobs' seats that have a trainer. Below its participants.quorum a job waits.", "percentunit",
         steps("red", (0.5, "orange"), (1, "green")),
         query('sum(tributary_job_seats{M, state="taken"}) / (sum(tributary_job_seats{M}) > 0)', "seats taken"), width=3),
    stat("Aggregators", "Aggregators that the coordinator hears. With none, rounds stand still at 'aggregate'.", "none", GOOD_ABOVE_ZERO,
         query('sum(tributary_workers{M, role="aggregator"})', "aggregators"), width=2, decimals=0),
    stat("Updates left out", "Updates of the rounds under way that they go on without: late, refused or damaged.", "none", BAD_ABOVE_ZERO,
         query('sum(tributary_round_updates{M, state="left_out"})', "left out"), width=2, decimals=0),
    stat("Jobs failed", "Jobs of this coordinator's journal that failed. `tributary status JOB` says why.", "none", BAD_ABOVE_ZERO,
         query('sum(tributary_jobs{M, state="failed"})', "failed"), width=2, decimals=0),
)

ROUNDS = row(
    "Rounds and losses",
    timeline("What the jobs do", "The phases of their rounds, one lane each. A round that stays in 'train' waits for a seat, in 'aggregate' for bytes or an aggregator.",
             steps("transparent", (1, "blue")), query("sum by (name, phase) (tributary_round_phase{M})", "{{name}} {{phase}}")),
    timeseries("Loss", "Training loss (mean over the round, weighted as the updates are) and validation loss of the round's model. Steps, one for each finished round. "
               "Training falling while validation rises: the sites overfit.", "none", NEUTRAL,
               query("tributary_train_loss{M}", "{{name}} training"), query("tributary_validation_loss{M}", "{{name}} validation"), floor=None),
    timeseries("Accuracy and encoding error", "Part of the validation targets that the model hits (more is better), and the largest relative error that an update lost to "
               "transfer.encoding (0 for native; above 10 % look at error_feedback).", "percentunit", steps("green", (0.1, "orange")),
               query("tributary_validation_accuracy_ratio{M}", "{{name}} accuracy"), query("tributary_encoding_error_ratio{M}", "{{name}} encoding error")),
    timeseries("Rounds under way against their deadlines", "Time since the round began. The deadline (participants.round_deadline) is for standing still: a round that crosses "
               "it is slow, and nobody is left out as long as everybody moves.", "s", steps("green", (3600, "orange")),
               query("time() - tributary_round_start_timestamp_seconds{M}", "{{name}}"), query("tributary_round_deadline_seconds{M}", "deadline of {{name}}"),
               dashed=(("deadline", "red"),)),
    timeseries("Training speed", "Samples and tokens that all trainers together trained on, a second; told at the end of each round.", "cps",
               steps("blue"), query("sum(rate(tributary_trained_samples_total{M}[R]))", "samples"),
               query("sum(rate(tributary_trained_tokens_total{M}[R]))", "tokens")),
)

PARTICIPANTS = row(
    "Participants",
    timeseries("Updates of the rounds", "Where the trainers of each job's round are: training, sending, done, left out. Together they are its N.", "none",
               steps("green", (1, "green")), query("sum by (name, state) (tributary_round_updates{M})", "{{name}} {{state}}"), stack=True),
    timeseries("Seats", "Seats of all running jobs with a trainer, seats without, and spare trainers that would take one over. The line is what running jobs have and queued ones would take: "
               "scale trainers to it, not beyond.",
               "none", steps("green", (1, "green")), query("sum by (state) (tributary_seats{M})", "{{state}}"),
               query("max(tributary_seats_wanted{M})", "wanted"), stack=True, dashed=(("wanted", "red"),)),
    timeseries("Time without progress, by seat", "How long each seat that the round waits for has stood still. Half the deadline is a straggler, the deadline the end of its part "
               "in this round.", "s", steps("green", (60, "orange"), (300, "red")),
               query("max by (name, seat, phase) (tributary_seat_unchanged_seconds{M})", "{{name}} {{seat}} {{phase}}"),
               query("max by (name) (tributary_round_deadline_seconds{M})", "deadline of {{name}}"), dashed=(("deadline", "red"),)),
    timeseries("Updates refused", "Updates that rounds went on without, by reason: late (deadline), invalid (not finite, another layout), failed (at the trainer), damaged or missing "
               "(at the blob-store).", "none", BAD_ABOVE_ZERO,
               query("sum by (reason) (increase(tributary_updates_refused_total{M}[R]))", "{{reason}}"), bars=True, stack=True, line=True),
    table("Trainers", "Each trainer, scraped or relayed, and its site.", "short", NEUTRAL,
          [("max by (site, trainer, job, instance) (tributary_trainer_info{M})", "there"),
           ("max by (site, trainer, job, instance) (tributary_trainer_info{M} * on (job, instance) group_left () rate(process_cpu_seconds_total{M}[R]))", "cores in use", "none"),
           ("max by (site, trainer, job, instance) (tributary_trainer_info{M} * on (job, instance) group_left () process_resident_memory_bytes{M})", "resident", "bytes")],
          labels=("site", "trainer", "job", "instance")),
)

TIME = row(
    "Time",
    timeseries("Time by phase", "Seconds that finished rounds spent in each phase, told when a round ends. train: the trainers; aggregate: bytes; seal: the disk.", "s",
               steps("green", (3600, "orange")), query("sum by (phase) (increase(tributary_phase_duration_seconds_sum{M}[R]))", "{{phase}}"), bars=True, stack=True),
    timeseries("Duration of rounds", "Mean over all finished rounds, and of the slowest twentieth.", "s", steps("green", (3600, "orange")),
               query("sum(tributary_round_duration_seconds_sum{M}) / (sum(tributary_round_duration_seconds_count{M}) > 0)", "mean"),
               query("histogram_quantile(0.95, sum by (le) (tributary_round_duration_seconds_bucket{M})) >= 0", "p95")),
    timeseries("Workers at work", "Seconds of work a second, by kind of task, over all workers: told when a task ends. 2 means that two were busy all the time.", "none",
               steps("blue"), query("sum by (kind) (rate(tributary_task_seconds_sum{M}[R]))", "{{kind}}"), stack=True),
    timeseries("Tasks that failed", "Tasks that ended in an error at a worker, by kind. Each is tried again; the coordinator's log says why.", "none", BAD_ABOVE_ZERO,
               query('sum by (kind) (increase(tributary_tasks_total{M, outcome="failed"}[R]))', "{{kind}}"), bars=True, stack=True, line=True),
    timeseries("Averaging", "Slots of each round's average that are made, and that are left. Standing still: no aggregator, or an update that does not come.", "none",
               steps("green", (1, "green")), query("sum by (name, state) (tributary_aggregation_slots{M})", "{{name}} {{state}}"), stack=True),
    timeseries("Parts without an aggregator", "Ranges of slots by state. 'waiting' ones have no aggregator, or all are busy with other jobs: start another.", "none", BAD_ABOVE_ZERO,
               query("sum by (name, state) (tributary_aggregation_parts{M})", "{{name}} {{state}}"), stack=True),
)

BYTES = row(
    "Bytes",
    timeseries("Bytes through the blob-stores", "Chunks taken in (updates, new models) and given out (models to trainers, updates to aggregators). All tensor bytes cross here, "
               "and nowhere else.", "Bps", steps("blue"),
               query("sum by (direction) (rate(tributary_blob_store_transfer_bytes_total{M}[R]))", "{{direction}}")),
    timeseries("Bytes of trainers, by round", "What the trainers of finished rounds sent (up) and received (down), and what need not be sent since the store had it.", "bytes",
               steps("blue"), query("sum by (direction) (increase(tributary_round_transfer_bytes_total{M}[R]))", "{{direction}}"),
               query("sum(increase(tributary_round_deduplicated_bytes_total{M}[R]))", "deduplicated"), bars=True),
    timeseries("Chunks", "Chunks in and out of the blob-stores, a second.", "ops", steps("blue"),
               query("sum by (direction) (rate(tributary_blob_store_chunks_total{M}[R]))", "{{direction}}")),
    timeseries("Reads that wait for a slot", "Reads of slots that are not written yet: aggregators that wait for updates under way. Many for long, with no bytes in: a trainer stalls.",
               "none", steps("green", (1000, "orange")), query("sum by (instance) (tributary_blob_store_parked_reads{M})", "{{instance}}")),
    timeseries("Room in the blob-stores", "Bytes that objects take, against the quota. Each running job needs room for an update of each of its round's trainers, and the next model.", "bytes",
               steps("green"), query("tributary_blob_store_bytes{M}", "{{instance}} objects"), query("tributary_blob_store_quota_bytes{M}", "quota {{instance}}"),
               dashed=(("quota", "red"),)),
    timeseries("Room on the disk", "Part of the file system of the data directory that is in use, by whomever. At 100 % updates are refused.", "percentunit",
               steps("green", (0.85, "orange"), (0.95, "red")),
               query("1 - tributary_blob_store_disk_free_bytes{M} / tributary_blob_store_disk_bytes{M}", "{{instance}}"), line=True),
)

TROUBLE = row(
    "Connections and trouble",
    timeseries("Connections", "Connections of the coordinator and the blob-stores. Each costs at most 100 KiB when idle.", "none", steps("green", (900, "orange")),
               query("tributary_connections{M}", "{{job}} {{instance}}")),
    timeseries("Refused", "Connections that were refused or cut off, by reason: a key that is not on the allow-list or was taken off it, bytes that nobody asked for. And requests of "
               "peers that are let in, for what their role or name may not do.", "none", BAD_ABOVE_ZERO,
               query("sum by (job, reason) (increase(tributary_connections_refused_total{M}[R]))", "{{job}} {{reason}}"),
               query("sum by (job) (increase(tributary_permission_refusals_total{M}[R]))", "{{job}} not permitted"), bars=True, stack=True, line=True),
    timeseries("Stalled sessions", "Sessions that a blob-store ended because their peer took no reply (read), or did not use its credit (write), for too long. They begin again.",
               "none", BAD_ABOVE_ZERO, query("sum by (side) (increase(tributary_blob_store_stalled_sessions_total{M}[R]))", "{{side}}"), bars=True, stack=True, line=True),
    timeseries("Damage and broken rules", "Chunks whose bytes changed on the disk, frames that break the protocol, payloads without credit, writes refused for want of room. All are 0 "
               "on a sound federation.", "none", BAD_ABOVE_ZERO,
               query("sum(increase(tributary_blob_store_damaged_slots_total{M}[R]))", "damaged slots"),
               query("sum(increase(tributary_blob_store_protocol_errors_total{M}[R]))", "protocol errors"),
               query("sum(increase(tributary_blob_store_credit_violations_total{M}[R]))", "credit violations"),
               query("sum(increase(tributary_blob_store_no_room_total{M}[R]))", "no room"), bars=True, stack=True, line=True),
)

DASHBOARD = dashboard("tributary-federation", "Tributary / Federation", "Rounds, losses, participants, time by phase and bytes of one federation.",
                      [GLANCE, ROUNDS, PARTICIPANTS, TIME, BYTES, TROUBLE])
