// SPDX-License-Identifier: GPL-2.0-or-later

// Command plot draws the results of the benchmark, as SVG.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"image/color"
	"os"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// row is a row of the report: see Row in package main of bench.
type row struct {
	Section, Name, Size string
	Columns             map[string]struct{ Median float64 }
}

// columns have these colours, which people who see few colours can tell apart.
var columns = []struct {
	name   string
	colour color.RGBA
}{
	{"none", color.RGBA{0x99, 0x99, 0x99, 0xff}},
	{"floor", color.RGBA{0x56, 0xb4, 0xe9, 0xff}},
	{"0.3-2", color.RGBA{0xe6, 0x9f, 0x00, 0xff}},
	{"0.4-1", color.RGBA{0xd5, 0x5e, 0x00, 0xff}},
	{"ours", color.RGBA{0x00, 0x72, 0xb2, 0xff}},
}

// A bar group has the columns of one row side by side.
type barGroup struct{ label, section, name string }

// bars are plots of logins.
var bars = []struct {
	file, title string
	groups      []barGroup
}{
	{"non-member", "Login of a non-member, by source of users and groups and by modules in the stack", []barGroup{
		{"files, 1", "1.", "non-member, 1 module"},
		{"files, 2", "1.", "non-member, 2 modules"},
		{"files, 3", "1.", "non-member, 3 modules"},
		{"SSSD, 1", "2.", "non-member, SSSD, 1 module"},
		{"SSSD, 2", "2.", "non-member, SSSD, 2 modules"},
		{"SSSD, 3", "2.", "non-member, SSSD, 3 modules"},
		{"nslcd, 1", "2.", "non-member, nslcd, 1 module"},
		{"nslcd, 2", "2.", "non-member, nslcd, 2 modules"},
		{"nslcd, 3", "2.", "non-member, nslcd, 3 modules"},
	}},
	{"member", "Login of a member", []barGroup{
		{"newnet", "1.", "newnet"},
		{"usernet join", "1.", "usernet join"},
		{"usernet create", "1.", "usernet create"},
		{"groupnet join", "1.", "groupnet join"},
		{"groupnet create", "1.", "groupnet create"},
	}},
}

// growth are plots of logins beside ever more of something. The second name, if there is one, has dashed lines.
var growth = []struct {
	file, title, xLabel, section string
	names                        []string
	logarithmic                  bool
}{
	{
		"groups", "Logins beside ever more groups", "groups in /etc/group", "5. Growth: groups",
		[]string{"non-member, 3 modules", "usernet join"},
		true,
	},
	{
		"networks", "Logins beside ever more named networks", "named networks", "5. Growth: named networks",
		[]string{"usernet join", "newnet"},
		false,
	},
	{
		"sessions", "Logins beside many named networks and ever more live sessions", "live sessions", "5. Growth: live sessions",
		[]string{"usernet join", "usernet create"},
		false,
	},
}

// figure is a plot with its legend on the right.
type figure struct {
	*plot.Plot
	legend plot.Legend
}

func main() {
	from := flag.String("from", "", "draw the results in this `file`")
	into := flag.String("into", "", "write the plots as `PREFIX`NAME.svg")
	flag.Parse()
	if err := drawAll(*from, *into); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func drawAll(from, into string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var report struct{ Rows []row }
	if err := json.Unmarshal(content, &report); err != nil {
		return fmt.Errorf("parse %s: %w", from, err)
	}
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	figures := make(map[string]*figure)
	for _, b := range bars {
		if figures[b.file], err = barPlot(b.title, b.groups, report.Rows); err != nil {
			return fmt.Errorf("%s: %w", b.file, err)
		}
	}
	for _, g := range growth {
		f := newFigure(g.title)
		f.X.Label.Text = g.xLabel
		figures[g.file] = f
		if err := f.addLines(find(report.Rows, g.section, ""), g.names, g.logarithmic); err != nil {
			return fmt.Errorf("%s: %w", g.file, err)
		}
	}
	for file, f := range figures {
		if err := f.write(into + file + ".svg"); err != nil {
			return err
		}
	}
	return nil
}

// write writes the figure as SVG, in any font of the sort that its texts are measured with.
func (f *figure) write(file string) error {
	const width, height, margin, legend = 700, 270, 10, 175
	canvas := vgsvg.New(width, height)
	all := draw.Crop(draw.New(canvas), margin, -margin, margin, -margin)
	all.SetColor(color.White) // to be read on a dark page, too
	all.Fill(vg.Rectangle{Max: vg.Point{X: width, Y: height}}.Path())
	f.Draw(draw.Crop(all, 0, -legend, 0, 0))
	f.legend.Draw(draw.Crop(all, width-legend-margin, 0, 0, -2*margin))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	const exact, similar = "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;"
	return os.WriteFile(file, bytes.ReplaceAll(svg.Bytes(), []byte(exact), []byte(similar)), 0o644)
}

// find returns the rows of a section with a name, or with any name if it is empty.
func find(rows []row, section, name string) (found []row) {
	for _, r := range rows {
		if strings.HasPrefix(r.Section, section) && (name == "" || r.Name == name) {
			found = append(found, r)
		}
	}
	return found
}

func newFigure(title string) *figure {
	f := &figure{plot.New(), plot.NewLegend()}
	f.Title.Text = title
	f.Title.Padding = vg.Points(8)
	f.Y.Label.Text = "ms (median)"
	f.legend.Top, f.legend.Left = true, true
	f.legend.YOffs, f.legend.Padding = -vg.Points(10), vg.Points(3)
	f.legend.TextStyle.Font.Size = vg.Points(10)
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = color.Gray{0xdd}
	f.Add(grid)
	return f
}

func barPlot(title string, groups []barGroup, rows []row) (*figure, error) {
	f := newFigure(title)
	values := make(map[string]plotter.Values) // a bar for each group: 0 where the column has none
	used := make(map[string]bool)
	var labels []string
	for _, g := range groups {
		found := find(rows, g.section, g.name)
		if len(found) != 1 {
			return nil, fmt.Errorf("%d rows are %q, not 1", len(found), g.name)
		}
		for _, c := range columns {
			stat, ok := found[0].Columns[c.name]
			values[c.name] = append(values[c.name], stat.Median)
			used[c.name] = used[c.name] || ok
		}
		labels = append(labels, g.label)
	}
	width := vg.Points(340 / float64(len(groups)*len(used)))
	position := 0
	for _, c := range columns {
		if !used[c.name] {
			continue
		}
		chart, err := plotter.NewBarChart(values[c.name], width)
		if err != nil {
			return nil, err
		}
		chart.Color, chart.LineStyle.Width = c.colour, 0
		chart.Offset = width * vg.Length(float64(position)-float64(len(used)-1)/2)
		f.Add(chart)
		f.legend.Add(c.name, chart)
		position++
	}
	f.NominalX(labels...)
	f.Y.Min = 0
	return f, nil
}

func (f *figure) addLines(rows []row, names []string, logarithmic bool) error {
	if logarithmic {
		f.X.Scale, f.Y.Scale = plot.LogScale{}, plot.LogScale{}
		f.X.Tick.Marker, f.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	} else {
		f.Y.Min = 0
	}
	lines := 0
	for i, name := range names {
		for _, c := range columns {
			var points plotter.XYs
			for _, r := range find(rows, "", name) {
				size, err := strconv.ParseFloat(r.Size, 64)
				if err != nil {
					return err
				}
				if stat, ok := r.Columns[c.name]; ok {
					points = append(points, plotter.XY{X: size, Y: stat.Median})
				}
			}
			if len(points) == 0 {
				continue
			}
			line, dots, err := plotter.NewLinePoints(points)
			if err != nil {
				return err
			}
			line.Color, dots.Color = c.colour, c.colour
			line.Width = vg.Points(1.5)
			if i > 0 {
				line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
			}
			f.Add(line, dots)
			f.legend.Add(name+": "+c.name, line, dots)
			lines++
		}
	}
	if lines == 0 {
		return fmt.Errorf("no row is %q", names)
	}
	return nil
}
