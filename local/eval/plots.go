package eval

import (
	"fmt"
	"math"

	"github.com/sluice-ai/sluice/local/eval/draw"
)

// A Plot is a drawing of a report.
type Plot struct {
	Name string // of the file, without its ending: "reliability"
	draw.Chart
}

// Plots draws the reliability diagram, the ROC curve and the trade-off between
// what is kept at home and the quality of the answers, with all systems in each.
func Plots(r *Report) []Plot {
	diagonal := []draw.Point{{X: 0, Y: 0}, {X: 1, Y: 1}}
	reliability := draw.Chart{
		Title: "Reliability: what was said, and what was so", X: "mean p_local of the bin", Y: "share of local labels in the bin", YMax: 1,
	}
	roc := draw.Chart{
		Title: "ROC: kept at home, by threshold", X: "share kept of what belongs in the cloud", Y: "share kept of what belongs at home", YMax: 1,
	}
	trade := draw.Chart{
		Title: "Trade-off: quality against what is kept at home", X: "share of requests kept at home", Y: "quality (mean chance of a good answer)",
		YMax: 1, LegendLeft: true,
	}
	for _, s := range r.Systems {
		var bins, steps, curve []draw.Point
		for _, b := range s.Bins {
			bins = append(bins, draw.Point{X: b.PLocal, Y: b.Local})
		}
		for _, p := range s.ROC {
			steps = append(steps, draw.Point(p))
		}
		for j, q := range s.Routing.Curve {
			curve = append(curve, draw.Point{X: float64(j) / 100, Y: q})
		}
		name := s.Name
		if s.AUC != nil {
			name += fmt.Sprintf(" (AUC %.3f)", s.AUC.Value)
		}
		reliability.Lines = append(reliability.Lines, draw.Line{Name: fmt.Sprintf("%s (ECE %.3f)", s.Name, s.ECE.Value), Points: bins, Marks: true})
		roc.Lines = append(roc.Lines, draw.Line{Name: name, Points: steps})
		trade.Lines = append(trade.Lines, draw.Line{Name: fmt.Sprintf("%s (APGR %.3f)", s.Name, s.Routing.APGR.Value), Points: curve})
	}
	reliability.Lines = append(reliability.Lines, draw.Line{Name: "what is said is so", Points: diagonal, Dashed: true, Grey: true})
	roc.Lines = append(roc.Lines, draw.Line{Name: "at random", Points: diagonal, Dashed: true, Grey: true})
	if len(r.Systems) > 0 {
		ro := r.Systems[0].Routing
		var oracle []draw.Point
		low := ro.Strong
		for j, q := range ro.CurveOracle {
			oracle = append(oracle, draw.Point{X: float64(j) / 100, Y: q})
			low = min(low, q)
		}
		trade.YMin = max(0, math.Floor(10*low-0.5)/10)
		level := []draw.Point{{X: 0, Y: 0.95 * ro.Strong}, {X: 1, Y: 0.95 * ro.Strong}}
		trade.Lines = append(trade.Lines,
			draw.Line{Name: "oracle", Points: oracle, Grey: true},
			draw.Line{Name: "at random, and the zero router", Points: []draw.Point{{X: 0, Y: ro.Strong}, {X: 1, Y: ro.Weak}}, Dashed: true, Grey: true},
			draw.Line{Name: "95 % of the cloud's quality", Points: level, Dashed: true},
		)
	}
	return []Plot{{"reliability", reliability}, {"roc", roc}, {"tradeoff", trade}}
}

// TaskPlots draws how the systems did, by each way the report groups the samples.
func TaskPlots(r *TaskReport) (out []Plot) {
	if len(r.Systems) == 0 {
		return nil
	}
	for _, by := range []string{"language", "type"} {
		c := draw.Chart{Title: fmt.Sprintf("%s: %s by %s", r.Suite, r.Main, by), X: by, Y: r.Main, YMax: 1}
		for _, g := range r.Systems[0].Groups {
			if g.By == by {
				c.Labels = append(c.Labels, g.Name)
			}
		}
		if len(c.Labels) == 0 {
			continue
		}
		for _, s := range r.Systems {
			group := draw.Group{Name: s.Name}
			for _, label := range c.Labels {
				b := draw.Bar{}
				for _, g := range s.Groups {
					if g.By == by && g.Name == label {
						b = draw.Bar{Value: g.Value, Low: g.Low, High: g.High}
					}
				}
				group.Bars = append(group.Bars, b)
			}
			c.Groups = append(c.Groups, group)
		}
		out = append(out, Plot{r.Suite + "-by-" + by, c})
	}
	return out
}
