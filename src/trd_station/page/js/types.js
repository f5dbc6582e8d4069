// @ts-check
/** Records of the REST interface (docs/station-api.md), as far as the page reads them. */

/**
 * @typedef {"ok" | "review" | "reject" | "invalid"} Decision
 * @typedef {"good" | "defect" | "unsure"} Judgement
 * @typedef {"viewer" | "operator" | "engineer" | "admin"} Role
 * @typedef {{ top: number, left: number, height: number, width: number }} Window
 *
 * @typedef {object} Session
 * @property {string | null} name
 * @property {Role | null} role
 * @property {boolean} tokens
 * @property {string} version
 * @property {string} station
 *
 * @typedef {object} Verdict
 * @property {number} id
 * @property {number} inspection
 * @property {Judgement} verdict
 * @property {string | null} kind
 * @property {string | null} reason
 * @property {string} who
 * @property {string} at
 * @property {boolean} has_mask
 *
 * @typedef {object} Inspection
 * @property {number} id
 * @property {string} class
 * @property {string} part
 * @property {string} at
 * @property {"api" | "folder" | "replay" | "camera"} origin
 * @property {Decision} decision
 * @property {string | null} reason
 * @property {number | null} score
 * @property {number | null} p_value
 * @property {number} good_count
 * @property {number} review_above
 * @property {number} reject_above
 * @property {Record<string, number> | null} share
 * @property {string | null} region
 * @property {{ kind: string, likeness: Record<string, number> } | null} kind_suggestion
 * @property {[number, number] | null} peak
 * @property {number | null} pixel_threshold
 * @property {string[]} notes
 * @property {Record<string, number>} measures
 * @property {number} model
 * @property {string} detector
 * @property {string} calibration
 * @property {number} threshold
 * @property {boolean} sampled
 * @property {"review" | "audit" | null} queue
 * @property {Judgement | null} verdict
 * @property {string | null} verdict_kind
 * @property {{ height: number, width: number } | null} frame
 * @property {Window | null} window
 * @property {string[]} maps
 * @property {string[]} images
 * @property {Record<string, string>} inputs
 * @property {boolean} has_cloud
 * @property {boolean} pruned
 * @property {Record<string, number>} timings
 * @property {Verdict[]} [verdicts]
 * @property {"audit" | "near_limit" | "unlike_reviewed"} [why] it is asked about, in the review queue
 *
 * @typedef {object} Model
 * @property {number} id
 * @property {string} class
 * @property {string} name
 * @property {"serving" | "ready" | "failed" | "retired"} state
 * @property {string} detector
 * @property {string} calibration
 * @property {string | null} recipe
 * @property {string | null} method
 * @property {string | null} engine
 * @property {string | null} device
 * @property {string | null} precision
 * @property {number | null} guaranteed_rate
 * @property {string | null} promise
 * @property {number | null} good_count
 * @property {Record<string, string>} ranges
 * @property {{ passed: boolean, at: string, seconds: number, checks: { name: string, passed: boolean, detail: string }[] } | null} self_test
 * @property {string} at
 * @property {string} who
 * @property {number} inspections
 * @property {string | null} [error]
 *
 * @typedef {object} Threshold
 * @property {number} id
 * @property {number} model
 * @property {boolean} active
 * @property {number} review_above
 * @property {number} reject_above
 * @property {number} review_rate
 * @property {number} reject_rate
 * @property {string} promise
 * @property {number} good_count
 * @property {string} from
 * @property {string} at
 * @property {string} who
 * @property {string} reason
 *
 * @typedef {object} PartClass
 * @property {string} name
 * @property {boolean} ready
 * @property {{ name: string, kind: string, suffixes: string[] }[]} sources
 * @property {Model | null} model
 * @property {Threshold | null} threshold
 * @property {number} review_open
 * @property {number} alarms_open
 *
 * @typedef {object} State
 * @property {number} queue
 * @property {number} capacity
 * @property {number} parts_per_minute
 * @property {number} model_busy
 * @property {Record<string, { ready: boolean, review_open: number, alarms_open: number }>} classes
 *
 * @typedef {Record<"ok" | "review" | "reject", number>} Counts
 *
 * @typedef {object} WhatIf
 * @property {number} review_above
 * @property {number} reject_above
 * @property {number} review_rate
 * @property {number} reject_rate
 * @property {string} promise
 * @property {number} good_count
 * @property {number} parts
 * @property {Counts} now
 * @property {Counts} then
 * @property {Record<Judgement, Counts>} verdicts
 * @property {{ id: number, part: string, score: number, verdict: Judgement | null, from: Decision, to: Decision }[]} flips
 * @property {{ id: number, part: string, score: number, verdict: Judgement | null, from: Decision, to: Decision }[]} changed
 *
 * @typedef {{ edges: number[], all: number[], good: number[], defect: number[], unsure: number[], calibration: number[] }} Histogram
 * @typedef {{ hits: number, count: number, value: number | null, low: number, high: number }} Estimate
 *
 * @typedef {object} Recalibration
 * @property {number} usable
 * @property {{ not_sampled: number, not_good: number, other_model: number }} refused
 * @property {number} good_count
 * @property {WhatIf | null} proposal
 * @property {number | null} enough_for_rate
 * @property {string | null} note
 *
 * @typedef {object} Stream
 * @property {string} name
 * @property {string} unit
 * @property {number | null} value
 * @property {[number, number] | null} training
 * @property {boolean | null} inside
 * @property {[number, number] | null} reference
 * @property {number} count
 * @property {number} log10_evidence
 * @property {number} alarm_at
 * @property {boolean} alarm
 * @property {string | null} alarm_since
 * @property {boolean} ready
 *
 * @typedef {object} StationEvent
 * @property {number} id
 * @property {string} at
 * @property {string | null} class
 * @property {"info" | "warning" | "alarm"} level
 * @property {string} kind
 * @property {string} text
 * @property {string | null} acknowledged_by
 * @property {string | null} cause
 */

/**
 * An input or output of the station.
 * @typedef {object} Attached
 * @property {string} name
 * @property {string} where
 * @property {"working" | "failing" | "ended"} state
 * @property {string} fault
 * @property {string | null} at
 * @property {number | null} waiting
 */

/**
 * @typedef {object} ChangeableSettings
 * @property {number} audit_rate
 * @property {"all" | "flagged" | "none"} keep_inputs
 * @property {number} keep_days
 * @property {number} keep_bytes
 */

/**
 * @typedef {object} Administration
 * @property {string} folder
 * @property {string} database
 * @property {{ total_bytes: number, free_bytes: number, files_bytes: number, database_bytes: number }} disk
 * @property {ChangeableSettings} settings
 * @property {Attached[]} inputs
 * @property {Attached[]} outputs
 * @property {string | null} last_backup
 */

/**
 * @typedef {object} Job
 * @property {number} id
 * @property {string} class
 * @property {"check" | "train" | "trial" | "export" | "lesson"} kind
 * @property {"waiting" | "running" | "done" | "failed" | "cancelled"} state
 * @property {string | null} recipe
 * @property {Record<string, any>} asked
 * @property {number} ahead
 * @property {{ title: string, done: number, total: number, left_s: number | null } | null} stage
 * @property {string | null} error
 * @property {string | null} model
 * @property {string} at
 * @property {string | null} begun
 * @property {string | null} ended
 * @property {string} who
 *
 * @typedef {object} TaughtClass
 * @property {string} name
 * @property {"colour" | "colour and 3D" | "3D"} layout
 * @property {{ name: string, kind: string, suffixes: string[] }[]} sources
 * @property {string} folder
 * @property {string} drop
 * @property {number} parts
 * @property {number} needed
 * @property {number} recommended
 * @property {number | null} promised_rate
 * @property {{ height: number, width: number } | null} frame
 * @property {boolean} has_camera
 * @property {[number, number][][]} inspect
 * @property {[number, number][][]} ignore
 * @property {{ name: string, description: string }[]} recipes
 * @property {string} first
 * @property {string | null} network
 * @property {boolean} served
 * @property {{ train: string | null, switch: string | null, trial: string | null }} missing
 * @property {Job[]} jobs
 */

/**
 * @typedef {{ kind: string | null, parts: number, marked: number }} LessonKind
 * @typedef {{ before: Estimate, lesson: Estimate }} SharePair
 * @typedef {{ found: SharePair, false_alarms: SharePair, worse: string[] }} GainComparison
 *
 * @typedef {{ inspection: Inspection, verdict: number, who: string, kind: string | null, marked: boolean, reason: string | null }} ProposedPart
 * @typedef {{ value: number | null, low: number | null, high: number | null }} LessonInterval
 * @typedef {{ alarms: number, detected: number, auroc: number | null }} GoodFigures
 * @typedef {{ good: number, calibration: number, defects: number, before: GoodFigures, after: GoodFigures, fall: LessonInterval, auroc_change: LessonInterval | null, reasons: string[] }} GoodJudgement
 *
 * @typedef {object} LessonProposal
 * @property {string} learner
 * @property {string | null} hindrance
 * @property {number} needed
 * @property {number} missing
 * @property {LessonKind[]} kinds
 * @property {ProposedPart[]} parts
 * @property {{ hindrance: string | null, needed: number, missing: number, parts: ProposedPart[] }} good
 *
 * @typedef {object} Lesson
 * @property {Job} job
 * @property {"waiting" | "running" | "failed" | "cancelled" | "refused" | "asked" | "taught" | "serving" | "taken_back" | "replaced"} state
 * @property {string} learner
 * @property {string | null} detector
 * @property {number[]} models
 * @property {LessonKind[]} kinds
 * @property {{ defects: number, good: number, before: { auroc: number, detected: number }, after: { auroc: number, detected: number }, gain: LessonInterval, unlabelled: Record<string, number>, reasons: string[] } | null} judgement
 * @property {number} good_parts
 * @property {number} judging
 * @property {number} sure
 * @property {GoodJudgement | null} good_judgement
 * @property {{ id: number, part: string }[]} unseen
 * @property {{ id: number, part: string }[]} above
 * @property {{ id: number, part: string }[]} doubtful
 * @property {{ since: string, until: string | null, before: number | null, after: number | null, who: string | null, reason: string | null } | null} service
 * @property {{ audited: number, over_time: GainComparison, both: GainComparison | null, trial: number | null, scoring: number | null } | null} gain
 *
 * @typedef {{ inspection: number, part: string, use: "taught" | "judges" | "good", verdict: number, who: string, kind: string | null, marked: boolean, digest: string, places: [number, number] | null }} LessonPart
 */

export {};
