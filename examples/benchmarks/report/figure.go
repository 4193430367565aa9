package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// quantile returns the value below which a share q of the samples are, between
// two of them by interpolation. It is NaN if there are none.
func quantile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i == len(sorted)-1 {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// median returns the median of the samples of a unit, or NaN.
func (x *row) median(unit string) float64 { return quantile(x.samples[unit], 0.5) }

// spread returns half the distance between the quartiles, as a share of the
// median: half of all runs are about that near to it.
func (x *row) spread(unit string) string {
	s := x.samples[unit]
	if len(s) < 2 {
		return ""
	}
	half := (quantile(s, 0.75) - quantile(s, 0.25)) / 2
	return fmt.Sprintf("± %.0f %%", 100*half/x.median(unit))
}

// figure writes a number with three digits or more, and nothing for NaN.
func figure(x float64) string {
	switch {
	case math.IsNaN(x):
		return ""
	case x == math.Trunc(x) || x >= 99.95:
		return grouped(strconv.FormatFloat(x, 'f', 0, 64))
	default:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
}

// grouped puts commas between the thousands of a whole number.
func grouped(digits string) string {
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// times returns how many times as much as another one a row takes: the median
// over the rounds, in which a machine that is slow for a while is slow for both,
// or the ratio of the medians if one of them was run more often. It is NaN if
// one of them is missing.
func (x *row) times(of *row, unit string) float64 {
	if x == nil || of == nil {
		return math.NaN()
	}
	a, b := x.samples[unit], of.samples[unit]
	if len(a) != len(b) {
		return x.median(unit) / of.median(unit)
	}
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return quantile(ratios, 0.5)
}

// ratio writes how many times as much as another one a row takes, and nothing
// if that is not known.
func ratio(x, of *row, unit string) string {
	r := x.times(of, unit)
	switch {
	case math.IsNaN(r) || math.IsInf(r, 0):
		return ""
	case r >= 9.95:
		return grouped(strconv.FormatFloat(r, 'f', 0, 64)) + " ×"
	default:
		return strconv.FormatFloat(r, 'f', 2, 64) + " ×"
	}
}
