package eval

import (
	"fmt"
	"math"
)

// A Plot is a drawing of a report.
type Plot struct {
	Name string // of the file: "reliability.svg"
	SVG  []byte
}

// Plots draws the reliability diagram, the ROC curve and the trade-off between
// what is kept at home and the quality of the answers, with all systems in each.
func Plots(r *Report) []Plot {
	reliability := chart{
		Title: "Reliability: what was said, and what was so", X: "mean p_local of the bin", Y: "share of local labels in the bin",
		YMax:  1,
		Lines: []line{{Name: "what is said is so", Points: []point{{0, 0}, {1, 1}}, Dashed: true, Colour: grey}},
	}
	roc := chart{
		Title: "ROC: kept at home, by threshold", X: "share kept of what belongs in the cloud", Y: "share kept of what belongs at home",
		YMax:  1,
		Lines: []line{{Name: "at random", Points: []point{{0, 0}, {1, 1}}, Dashed: true, Colour: grey}},
	}
	trade := chart{
		Title: "Trade-off: quality against what is kept at home", X: "share of requests kept at home", Y: "quality (mean chance of a good answer)",
		YMax: 1, Left: true,
	}
	for i, s := range r.Systems {
		var bins, curve []point
		for _, b := range s.Bins {
			bins = append(bins, point{b.PLocal, b.Local})
		}
		var steps []point
		for _, p := range s.ROC {
			steps = append(steps, point(p))
		}
		for j, q := range s.Routing.Curve {
			curve = append(curve, point{float64(j) / 100, q})
		}
		colour := palette[i%len(palette)]
		name := s.Name
		if s.AUC != nil {
			name += fmt.Sprintf(" (AUC %.3f)", s.AUC.Value)
		}
		reliability.Lines = append(reliability.Lines, line{Name: fmt.Sprintf("%s (ECE %.3f)", s.Name, s.ECE.Value), Points: bins, Marks: true, Colour: colour})
		roc.Lines = append(roc.Lines, line{Name: name, Points: steps, Colour: colour})
		trade.Lines = append(trade.Lines, line{Name: fmt.Sprintf("%s (APGR %.3f)", s.Name, s.Routing.APGR.Value), Points: curve, Colour: colour})
	}
	if len(r.Systems) > 0 {
		ro := r.Systems[0].Routing
		var oracle []point
		low := ro.Strong
		for j, q := range ro.CurveOracle {
			oracle = append(oracle, point{float64(j) / 100, q})
			low = min(low, q)
		}
		trade.YMin = max(0, math.Floor(10*low-0.5)/10)
		trade.Lines = append(trade.Lines,
			line{Name: "oracle", Points: oracle, Colour: grey},
			line{Name: "at random, and the zero router", Points: []point{{0, ro.Strong}, {1, ro.Weak}}, Dashed: true, Colour: grey},
			line{Name: "95 % of the cloud's quality", Points: []point{{0, 0.95 * ro.Strong}, {1, 0.95 * ro.Strong}}, Dashed: true, Colour: "#c0a030"},
		)
	}
	return []Plot{{"reliability.svg", reliability.svg()}, {"roc.svg", roc.svg()}, {"tradeoff.svg", trade.svg()}}
}
