#!/usr/bin/env python3
"""The reference filter behind two small protocols, for the integration test (stdlib only).
gbf_oracle.py trace LIMIT FILE.ndjson.gz...
    replays each trace up to LIMIT seconds and prints, as NDJSON, a line at the first second of a
    stream and at every change of its state, and one with its probabilities every 60 s
gbf_oracle.py feed
    reads lines "n f", ticks one filter with them and prints everything it believes after each"""
import collections,gzip,json,os,sys
import gbf_reference
NAMES=('healthy','degraded','overloaded')
def trace(limit,path):
    streams=collections.defaultdict(lambda: collections.defaultdict(lambda: [0,0]));last=0
    for line in gzip.open(path,'rt'):
        o=json.loads(line);last=max(last,o['t']);cell=streams[o['p'],o['m']][o['t']]
        if o.get('a',1)>=2 or o['c'] not in('ok','529'): continue
        cell[0]+=o['n'];cell[1]+=o['n'] if o['c']=='529' else 0
    name=os.path.basename(path).split('.')[0]
    for (p,m),seconds in streams.items():
        g=gbf_reference.Gbf();told=None
        for t in range(min(last+1,limit)):
            state=g.tick(*seconds.get(t,(0,0)))
            if state!=told: print(json.dumps(dict(trace=name,ts=t,provider=p,model=m,state=NAMES[state])));told=state
            if t%60==0: print(json.dumps(dict(trace=name,ts=t,provider=p,model=m,p=g.probs())))
def feed():
    g=gbf_reference.Gbf()
    for line in sys.stdin:
        state=g.tick(*map(int,line.split()));lo,hi=g.interval()
        print(json.dumps(dict(state=NAMES[state],p=g.probs(),rate=g.rate(),low=lo,high=hi,n_eff=g.neff,confidence=g.confidence(),
            survive=[g.survive(t) for t in(30,60,300)],p_success=[g.p_success((1,2,4,8,16)[:k]) for k in range(6)])))
if __name__=='__main__':
    if sys.argv[1]=='feed': feed()
    else:
        for path in sys.argv[3:]: trace(int(sys.argv[2]),path)
