package eval

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// These few lines draw charts because the one plotting library that was good
// enough, gonum.org/v1/plot, adds 7.3 MB of fonts and of formats that nobody
// asked for to a binary that draws three pictures.

type point struct{ X, Y float64 }

type line struct {
	Name   string
	Points []point
	Marks  bool // a dot at each point
	Dashed bool
	Colour string
}

// A chart has X from 0 to 1 and Y from YMin to YMax.
type chart struct {
	Title, X, Y string
	YMin, YMax  float64
	Left        bool // the legend is at the lower left, not right
	Lines       []line
}

const (
	grey   = "#888888"
	width  = 640
	height = 560
	left   = 70 // margins
	right  = 20
	top    = 40
	bottom = 60
)

// palette can be told apart by people who see fewer colours (Okabe and Ito).
var palette = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"}

// svg draws c. The text of the drawing is escaped.
func (c *chart) svg() []byte {
	var b bytes.Buffer
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="13">`, width, height, width, height)
	say(`<title>%s</title>`, escape(c.Title))
	say(`<rect width="100%%" height="100%%" fill="white"/>`)
	say(`<text x="%d" y="24" font-size="15" font-weight="bold">%s</text>`, left, escape(c.Title))
	say(`<g stroke="#dddddd">`)
	for i := range 11 {
		x, y := c.place(point{float64(i) / 10, c.YMin + float64(i)/10*(c.YMax-c.YMin)})
		say(`<path d="M%.1f %dV%d M%d %.1fH%d"/>`, x, top, height-bottom, left, y, width-right)
	}
	say(`</g><g fill="#333333">`)
	for i := range 6 {
		v := float64(i) / 5
		level := c.YMin + v*(c.YMax-c.YMin)
		x, y := c.place(point{v, level})
		say(`<text x="%.1f" y="%d" text-anchor="middle">%.1f</text>`, x, height-bottom+18, v)
		say(`<text x="%d" y="%.1f" text-anchor="end">%.2f</text>`, left-8, y+4, level)
	}
	say(`<text x="%d" y="%d" text-anchor="middle">%s</text>`, (left+width-right)/2, height-bottom+42, escape(c.X))
	say(`<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text></g>`, (top+height-bottom)/2, escape(c.Y))
	for _, l := range c.Lines {
		c.draw(say, l)
	}
	for i, l := range c.Lines { // the legend
		y := height - bottom - 14 - 18*(len(c.Lines)-1-i)
		x := width - right - 270
		if c.Left {
			x = left + 8
		}
		say(`<rect x="%d" y="%d" width="262" height="18" fill="white" fill-opacity="0.8"/>`, x-4, y-9)
		say(`<path d="M%d %dh24" stroke="%s" stroke-width="2"%s/>`, x, y, l.Colour, dashes(l))
		say(`<text x="%d" y="%d">%s</text>`, x+30, y+4, escape(l.Name))
	}
	say(`</svg>`)
	return b.Bytes()
}

func (c *chart) draw(say func(string, ...any), l line) {
	var path strings.Builder
	for i, p := range l.Points {
		x, y := c.place(p)
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], x, y)
	}
	say(`<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`, path.String(), l.Colour, dashes(l))
	if l.Marks {
		for _, p := range l.Points {
			x, y := c.place(p)
			say(`<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`, x, y, l.Colour)
		}
	}
}

// place returns where p is drawn.
func (c *chart) place(p point) (x, y float64) {
	x = left + p.X*(width-left-right)
	y = height - bottom - (p.Y-c.YMin)/(c.YMax-c.YMin)*(height-top-bottom)
	return x, y
}

func dashes(l line) string {
	if l.Dashed {
		return ` stroke-dasharray="6 4"`
	}
	return ""
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
