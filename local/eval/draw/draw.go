// Package draw turns charts into SVG and PNG files, with gonum.org/v1/plot.
package draw

import (
	"bytes"
	"fmt"
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A Point lies in a chart's plane.
type Point struct{ X, Y float64 }

// A Line is a series of a chart.
type Line struct {
	Name   string
	Points []Point
	Marks  bool // a dot at each point
	Dashed bool
	Grey   bool // a line to compare with, not a system
}

// A Bar is a value with an interval around it.
type Bar struct{ Value, Low, High float64 }

// A Group is a system's bars, one for each of the chart's labels.
type Group struct {
	Name string
	Bars []Bar
}

// A Chart has lines over X from 0 to 1, or groups of bars over Labels.
type Chart struct {
	Title, X, Y string
	YMin, YMax  float64
	LegendLeft  bool
	Lines       []Line
	Labels      []string
	Groups      []Group
}

const width, height = 18 * vg.Centimeter, 15 * vg.Centimeter

// palette can be told apart by people who see fewer colours (Okabe and Ito).
var palette = []color.Color{
	color.RGBA{0, 0x72, 0xb2, 255}, color.RGBA{0xd5, 0x5e, 0, 255}, color.RGBA{0, 0x9e, 0x73, 255}, color.RGBA{0xcc, 0x79, 0xa7, 255}, color.RGBA{0x56, 0xb4, 0xe9, 255},
}

var grey = color.Gray{0x88}

// plot makes gonum's plot of c.
func (c *Chart) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.Y.Min, p.Y.Max = c.YMin, c.YMax
	p.Title.Padding, p.X.Padding, p.Y.Padding = vg.Points(8), 0, 0
	p.Add(plotter.NewGrid())
	p.Legend.Left, p.Legend.Top = c.LegendLeft, false
	p.Legend.Padding, p.Legend.XOffs, p.Legend.YOffs = vg.Points(2), vg.Points(-6), vg.Points(6)
	if c.LegendLeft {
		p.Legend.XOffs = vg.Points(6)
	}
	if len(c.Groups) > 0 {
		p.Legend.Top, p.Legend.YOffs = true, vg.Points(-4)
		return p, c.bars(p)
	}
	p.X.Min, p.X.Max = 0, 1
	for i, l := range c.Lines {
		if len(l.Points) == 0 {
			continue
		}
		xy := make(plotter.XYs, len(l.Points))
		for j, pt := range l.Points {
			xy[j].X, xy[j].Y = pt.X, pt.Y
		}
		line, err := plotter.NewLine(xy)
		if err != nil {
			return nil, fmt.Errorf("drawing %q: %w", l.Name, err)
		}
		line.Width = vg.Points(1.6)
		line.Color = palette[i%len(palette)]
		if l.Grey {
			line.Color = grey
		}
		if l.Dashed {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(4)}
		}
		p.Add(line)
		thumbs := []plot.Thumbnailer{line}
		if l.Marks {
			dots, err := plotter.NewScatter(xy)
			if err != nil {
				return nil, fmt.Errorf("drawing %q: %w", l.Name, err)
			}
			dots.Color, dots.Shape, dots.Radius = line.Color, vgdraw.CircleGlyph{}, vg.Points(3)
			p.Add(dots)
			thumbs = append(thumbs, dots)
		}
		p.Legend.Add(l.Name, thumbs...)
	}
	return p, nil
}

// bars adds the groups, side by side over each label, with their intervals.
func (c *Chart) bars(p *plot.Plot) error {
	wide := min(vg.Points(22), vg.Points(380/float64(max(1, len(c.Labels)*len(c.Groups)))))
	for i, g := range c.Groups {
		values := make(plotter.Values, len(g.Bars))
		errs := struct {
			plotter.XYs
			plotter.YErrors
		}{make(plotter.XYs, len(g.Bars)), make(plotter.YErrors, len(g.Bars))}
		for j, b := range g.Bars {
			values[j] = b.Value
			errs.XYs[j].X, errs.XYs[j].Y = float64(j), b.Value
			errs.YErrors[j].Low, errs.YErrors[j].High = b.Value-b.Low, b.High-b.Value
		}
		chart, err := plotter.NewBarChart(values, wide)
		if err != nil {
			return fmt.Errorf("drawing %q: %w", g.Name, err)
		}
		chart.Color, chart.LineStyle.Width = palette[i%len(palette)], 0
		chart.Offset = wide * vg.Length(float64(i)-float64(len(c.Groups)-1)/2)
		whiskers, err := plotter.NewYErrorBars(errs)
		if err != nil {
			return fmt.Errorf("drawing %q: %w", g.Name, err)
		}
		whiskers.Color = color.Gray{0x33}
		p.Add(chart, shifted{whiskers, chart.Offset})
		p.Legend.Add(g.Name, chart)
	}
	p.NominalX(c.Labels...)
	return nil
}

// shifted draws its plotter to the side.
type shifted struct {
	*plotter.YErrorBars
	by vg.Length
}

func (s shifted) Plot(c vgdraw.Canvas, p *plot.Plot) {
	c.Canvas.Push()
	c.Canvas.Translate(vg.Point{X: s.by})
	s.YErrorBars.Plot(c, p)
	c.Canvas.Pop()
}

// SVG draws c. The text of the drawing stays text, and is escaped.
func (c *Chart) SVG() ([]byte, error) {
	return c.draw(vgsvg.New(width, height))
}

// PNG draws c at 96 dots per inch.
func (c *Chart) PNG() ([]byte, error) {
	img := vgimg.New(width, height)
	return c.draw(struct {
		vg.CanvasSizer
		io.WriterTo
	}{img, vgimg.PngCanvas{Canvas: img}})
}

func (c *Chart) draw(canvas interface {
	vg.CanvasSizer
	io.WriterTo
}) ([]byte, error) {
	p, err := c.plot()
	if err != nil {
		return nil, err
	}
	p.Draw(vgdraw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("drawing %q: %w", c.Title, err)
	}
	return b.Bytes(), nil
}
