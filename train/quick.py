import sys, random
sys.path.insert(0,'.')
from pathlib import Path
from sluice_train import bpe, data, fit, augment, export
from sluice_train.model import Config
from sluice_train.prompt import *
seeds=data.load_seeds(); tr,dv=data.split(seeds)
texts=[data.digest_of(s) for s in tr]
answers=[f"{r} {t}" for r in ROUTES for t in TASKS]
heads=["system\n"+instructions(),"assistant\n","user\n[system] [tools] [earlier] user: assistant: tool: [request]\n"]
import time; t=time.time()
V=int(sys.argv[3]) if len(sys.argv)>3 else 8192
tok=bpe.train(texts+heads+answers,[1]*len(texts)+[200]*len(heads)+[300]*len(answers),V)
print(len(tok.vocab),time.time()-t)
coder=fit.Coder(tok); print("prefix",len(coder.prefix), "avg",sum(len(coder.ids(x)) for x in texts)/len(texts))
def source(rng,n,progress):
    out=[]
    for _ in range(n):
        s=dict(rng.choice(tr)); s['t']=augment.noise(rng,s['t'])
        out.append((data.digest_of(s),s['p'],s['k']))
    return out
dev=[(data.digest_of(s),s['p'],s['k']) for s in dv]
plan=fit.Plan(minutes=float(sys.argv[2]),epoch=3000,threads=2)
cfg=Config(vocab=len(tok.vocab),layers=6,attention=(2,4,5),ffn=640)
out=Path(sys.argv[1])
m=fit.train(out,cfg,plan,coder,source,dev)
_,margin=fit.dev_scores(m,coder,dev,torch.float32) if False else fit.dev_scores(m,coder,dev,__import__('torch').float32)
sc,b=fit.fit_scale(margin,[p for _,p,_ in dev])
print(sc,b)
export.save(out/"nano.gguf",m,tok,sc,b)
m2,tok2,kv=export.load(out/"nano.gguf")
print(fit.dev_scores(m2,fit.Coder(tok2),dev,__import__('torch').float32)[0], kv['general.size_label'], (out/"nano.gguf").stat().st_size)
