package router

import (
	"context"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Feedback records what somebody thought of the answer to the decision of, in the
// ledger, and returns the record's id. The decision must be one of the caller's tenant,
// and among the latest. Of several verdicts on one decision the last counts for a
// calibration, and the first for the monitor: an outcome is one, however often it is told.
func (r *Router) Feedback(ctx context.Context, who llm.Principal, of string, v llm.Verdict) (id string, err error) {
	d, ok := r.cfg.Decided.find(of, who.Tenant)
	if !ok {
		return "", &llm.Error{Kind: llm.NotFound, Code: llm.CodeNotFound, Param: "id",
			Msg: "there is no such decision of this tenant, or it is too long ago: send the header Sluice-Decision of an answer"}
	}
	rec := &llm.Record{
		ID: "fbk_" + ulid.Make().String(), Kind: llm.KindFeedback, Of: of, Verdict: &v, Time: time.Now().UTC(),
		Tenant: who.Tenant, User: r.mac([]byte(who.User)), Key: who.Key, Target: d.target,
		Assessment: d.assessment, AssessedBy: d.by, Judge: d.judge, Config: r.cfg.Generation,
	}
	if err := r.cfg.Recorder.Record(ctx, rec, false); err != nil {
		return "", &llm.Error{Kind: llm.Unavailable, Code: llm.CodeAudit, Err: err,
			Msg: "the ledger cannot be written, so the feedback was not kept: try again later"}
	}
	r.meters.verdict(ctx, llm.KindFeedback, v.Good)
	if strings.HasPrefix(d.target, "local/") && r.cfg.Decided.judge(of) {
		r.outcome(ctx, d.assessment, v.Good)
	}
	return rec.ID, nil
}

// outcome tells the monitor how a local answer was.
func (r *Router) outcome(ctx context.Context, a llm.PolicyAssessment, good bool) {
	if r.cfg.Monitor == nil || a.Boundary == llm.NoVerdict {
		return
	}
	r.cfg.Monitor.Outcome(a.PLocal, good)
	r.watch(ctx)
}

// scored tells the monitor of a verdict of the judge's model.
func (r *Router) scored(ctx context.Context, a llm.Assessment) {
	if r.cfg.Monitor == nil || a.Boundary == llm.NoVerdict || strings.HasPrefix(a.By, "rule:") {
		return
	}
	r.cfg.Monitor.Scored(a.PLocal)
	r.watch(ctx)
}

// watch puts the monitor's state on the metrics, and into the log when the alarm begins.
func (r *Router) watch(ctx context.Context) {
	d := r.cfg.Monitor.Drift()
	r.meters.drifted(ctx, d)
	if was := r.alarm.Swap(d.Alarm); d.Alarm && !was {
		r.cfg.Log.Warn("the judge is no longer as it was calibrated: gather outcomes and run sluice calibrate again",
			"calibration", d.Calibration, "psi", d.PSI, "state", d.State, "outcomes", d.Outcomes, "bad", d.Bad, "evidence", d.Evidence)
	}
}

// Drift returns the monitor's state; the zero Drift without one.
func (r *Router) Drift() llm.Drift {
	if r.cfg.Monitor == nil {
		return llm.Drift{}
	}
	return r.cfg.Monitor.Drift()
}
