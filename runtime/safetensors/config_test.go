package safetensors

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const dense350M = `{"architectures":["Lfm2ForCausalLM"],"model_type":"lfm2","block_auto_adjust_ff_dim":true,"block_dim":1024,"block_ff_dim":6656,
"block_ffn_dim_multiplier":1.0,"block_multiple_of":256,"block_norm_eps":1e-05,"bos_token_id":1,"conv_L_cache":3,"conv_bias":false,"eos_token_id":7,
"full_attn_idxs":[2,5,8,10,12,14],"hidden_size":1024,"max_position_embeddings":128000,"norm_eps":1e-05,"num_attention_heads":16,"num_heads":16,
"num_hidden_layers":16,"num_key_value_heads":8,"pad_token_id":0,"rope_theta":1000000.0,"use_pos_enc":true,"vocab_size":65536}`

func TestParseConfig(t *testing.T) {
	attention := func(n int, at ...int) []bool {
		out := make([]bool, n)
		for _, i := range at {
			out[i] = true
		}
		return out
	}
	dense := Config{Layers: 16, Dim: 1024, Heads: 16, KVHeads: 8, HeadDim: 64, FFN: 4608, Attention: attention(16, 2, 5, 8, 10, 12, 14),
		Vocab: 65536, Taps: 3, Context: 128000, Eps: 1e-5, Theta: 1e6, Tied: true, BOS: 1, EOS: 7}
	with := func(change func(*Config)) Config {
		c := dense
		change(&c)
		return c
	}
	edit := strings.NewReplacer
	tests := []struct {
		name, json string
		want       Config
	}{
		{"350m", dense350M, dense},
		{"700m", edit("6656", "10240").Replace(dense350M), with(func(c *Config) { c.FFN = 6912 })},
		{"1.2b", edit("6656", "12288").Replace(dense350M), with(func(c *Config) { c.FFN = 8192 })},
		{"2.6b-unadjusted", edit("6656", "10752", `"block_auto_adjust_ff_dim":true`, `"block_auto_adjust_ff_dim":false`).Replace(dense350M),
			with(func(c *Config) { c.FFN = 10752 })},
		{"new-spellings", edit(`"rope_theta":1000000.0`, `"rope_parameters":{"rope_theta":5000000.0,"rope_type":"default"},"theta":1`,
			`"full_attn_idxs":[2,5,8,10,12,14]`, `"layer_types":["conv","full_attention"]`, `"num_hidden_layers":16`, `"num_hidden_layers":2`,
			"block_ff_dim", "intermediate_size", `"norm_eps":1e-05,`, "", `"eos_token_id":7`, `"eos_token_id":[7,2],"tie_embedding":false`).Replace(dense350M),
			with(func(c *Config) { c.Theta, c.Layers, c.Attention, c.Tied = 5e6, 2, attention(2, 1), false })},
		{"all-attention", edit(`"full_attn_idxs":[2,5,8,10,12,14],`, "").Replace(dense350M),
			with(func(c *Config) { c.Attention = slices.Repeat([]bool{true}, 16) })},
		{"vision", `{"model_type":"lfm2_vl","text_config":` + dense350M + `}`, with(func(c *Config) { c.Nested = "text_config" })},
		{"audio", `{"architectures":["x"],"lfm":` + dense350M + `}`, with(func(c *Config) { c.Nested = "lfm" })},
		{"moe", edit(`"model_type":"lfm2"`, `"model_type":"lfm2_moe","num_experts":32,"num_experts_per_tok":4,"moe_intermediate_size":1792,"num_dense_layers":2,
			"use_expert_bias":true,"norm_topk_prob":true,"routed_scaling_factor":1.0`, "6656", "7168").Replace(dense350M), with(func(c *Config) {
			c.FFN, c.Experts, c.ExpertsUsed, c.ExpertFFN, c.DenseLayers, c.ExpertBias, c.NormTopK, c.RoutedScale = 7168, 32, 4, 1792, 2, true, true, 1
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseConfig([]byte(tt.json))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseConfigRefuses(t *testing.T) {
	edit := strings.NewReplacer
	for name, json := range map[string]string{
		"not-json":       `{`,
		"null":           `null`,
		"list":           `[]`,
		"empty":          `{}`,
		"another-model":  edit(`"lfm2"`, `"llama"`).Replace(dense350M),
		"no-layers":      edit(`"num_hidden_layers":16,`, "").Replace(dense350M),
		"huge":           edit(`"hidden_size":1024`, `"hidden_size":1e9`).Replace(dense350M),
		"negative":       edit(`"vocab_size":65536`, `"vocab_size":-1`).Replace(dense350M),
		"text":           edit(`"vocab_size":65536`, `"vocab_size":"many"`).Replace(dense350M),
		"uneven-heads":   edit(`"num_key_value_heads":8`, `"num_key_value_heads":7`).Replace(dense350M),
		"layer-outside":  edit(`[2,5,8`, `[2,5,99`).Replace(dense350M),
		"layer-kinds":    edit(`"full_attn_idxs":[2,5,8,10,12,14]`, `"layer_types":["conv"]`).Replace(dense350M),
		"sliding":        edit(`"full_attn_idxs":[2,5,8,10,12,14]`, `"layer_types":["sliding_attention"]`, `"num_hidden_layers":16`, `"num_hidden_layers":1`).Replace(dense350M),
		"rope-scaling":   edit(`"rope_theta":1000000.0`, `"rope_parameters":{"rope_type":"yarn"}`).Replace(dense350M),
		"bos-outside":    edit(`"bos_token_id":1`, `"bos_token_id":65536`).Replace(dense350M),
		"theta-negative": edit(`1000000.0`, `-1`).Replace(dense350M),
	} {
		if c, err := ParseConfig([]byte(json)); err == nil {
			t.Errorf("%s: accepted as %+v", name, c)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(dense350M))
	f.Add([]byte(`{"model_type":"lfm2_vl","text_config":` + dense350M + `}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err == nil && (len(c.Attention) != c.Layers || c.Heads%c.KVHeads != 0 || c.FFN < 1) {
			t.Fatalf("%+v", c)
		}
	})
}
